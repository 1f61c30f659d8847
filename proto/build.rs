//! Compiles `tidegate/agent/v1/*.proto`, without any program from outside; nothing else.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=tidegate");
    let files = ["enrolment", "types", "agent"].map(|f| format!("tidegate/agent/v1/{f}.proto"));
    let set = protox::compile(files, ["."])?;
    tonic_prost_build::configure()
        .bytes(".tidegate.agent.v1.PullChunk.data")
        .bytes(".tidegate.agent.v1.Line.object")
        .bytes(".tidegate.agent.v1.Step.object")
        .codec_path("crate::codec::SmallCodec")
        .compile_fds(set)?;
    Ok(())
}
