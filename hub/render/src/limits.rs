//! Every bound on what a commit may make the hub do, with its reason.

/// Bytes of one YAML document: the largest definitions in the wild are near 1.4 MiB in JSON.
pub const DOCUMENT_BYTES_MAX: usize = 3 << 20;

/// Bytes of one manifest file, of all files of a release, and of all objects of a release in canonical form.
pub const RELEASE_BYTES_MAX: usize = 10 << 20;

/// Bytes of one object in canonical form: the store of a Kubernetes API server takes 1.5 MiB.
pub const OBJECT_BYTES_MAX: usize = (14 << 20) / 10;

/// Objects of a release.
pub const OBJECTS_MAX: usize = 5_000;

/// Bytes of an `app.yaml` or `tidegate.yaml`; written by hand.
pub const CONFIG_BYTES_MAX: usize = 256 << 10;

/// Bytes of what an App asks of its agents: some 100 health rules; agents keep it in memory.
pub const CHOICES_BYTES_MAX: usize = 64 << 10;

/// Nodes (maps, lists, scalars) of one document, aliases expanded.
pub const YAML_NODES_MAX: usize = 250_000;

/// Nesting of one document. Recursion over a document is bounded by it.
pub const YAML_DEPTH_MAX: usize = 100;

/// Bytes of text of one document, aliases expanded: no alias may make a document larger than its limit by much.
pub const YAML_TEXT_BYTES_MAX: usize = 2 * DOCUMENT_BYTES_MAX;

/// Documents of one file; each object is one.
pub const DOCUMENTS_MAX: usize = OBJECTS_MAX;

/// Nesting of folders below the folder of an App.
pub const FOLDER_DEPTH_MAX: usize = 64;

/// Entries visited in one walk, so that links that fan out end.
pub const WALK_ENTRIES_MAX: usize = 50_000;

/// Symbolic links met in one walk; following one costs a look at every folder on its way.
pub const WALK_LINKS_MAX: usize = 5_000;

/// Symbolic links followed for one path; what Linux allows.
pub const LINK_HOPS_MAX: usize = 40;

/// Apps of one repository.
pub const APPS_MAX: usize = 10_000;

/// Diagnostics of one file or one render; more help nobody.
pub const DIAGNOSTICS_MAX: usize = 100;

/// Bytes of all files that one run of a tool is given.
pub const INPUT_BYTES_MAX: usize = 64 << 20;

/// Folders that one kustomization reaches.
pub const BASES_MAX: usize = 500;

/// Distinct variants of one App: each is rendered and kept.
pub const VARIANTS_MAX: usize = 500;

/// Bytes of all variants of one App, equal objects counted once for each variant.
pub const VARIANTS_BYTES_MAX: usize = 128 << 20;
