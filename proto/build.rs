//! Compiles the .proto files with protox, so that no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["enrollment", "session", "blobs", "fleet"].map(|name| format!("flota/v1/{name}.proto"));
    let descriptors = protox::compile(&files, ["."])?;
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("flota.v1.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .codec_path("crate::codec::SmallCodec")
        // Read models print as they stand (`flota … -o json`).
        .type_attribute(".", "#[derive(serde::Serialize)]")
        .btree_map(".")
        .skip_debug(["flota.v1.CreateTokenResponse"])
        .compile_fds(descriptors)?;
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
    }
    Ok(())
}
