//! The engine is zlib-rs, and no other.

/// A dependency that asked flate2 for another engine would swap it under everybody, and the lock file would name that
/// engine: it holds what any feature of any dependency brings, on any platform.
#[test]
fn flate2_has_no_other_engine_to_choose() {
    let lock = include_str!("../../Cargo.lock");
    let has = |name: &str| lock.lines().any(|line| line == format!("name = \"{name}\""));
    assert!(has("flate2") && has("zlib-rs"));
    for other in ["miniz_oxide", "libz-sys", "libz-ng-sys", "libz-rs-sys", "cloudflare-zlib-sys", "zlib-ng-sys"] {
        assert!(!has(other), "{other} is there to be chosen");
    }
}

#[test]
fn it_names_itself() {
    let engines = [
        format!("{:?}", flate2::Compress::new(flate2::Compression::fast(), false)),
        format!("{:?}", flate2::Decompress::new(false)),
    ];
    assert!(engines.iter().all(|engine| engine.contains("zlib_rs")), "{engines:?}");
}
