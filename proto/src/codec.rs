//! A protobuf codec with small buffers: the default allocates 8 KiB for each direction of each stream
//! at once, which is most of what an idle agent costs the hub (measured: 42.5 -> 36.5 kB a connection).

use std::marker::PhantomData;

use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// First allocation per stream and direction, in bytes; a heartbeat or directive fits.
const BUFFER_BYTES: usize = 1024;
/// Bytes gathered before they are handed to the transport.
const YIELD_BYTES: usize = 32 * 1024;

/// Protobuf with `BUFFER_BYTES` buffers.
#[derive(Debug)]
pub struct SmallCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SmallCodec<T, U>
where
    T: prost::Message + Send + 'static,
    U: prost::Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }
}
