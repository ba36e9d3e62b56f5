//! The engine is zlib-rs. What is received is inflated by it under that name; what is sent goes through flate2, whose
//! engine is chosen by the features of all who use it.

#[test]
fn that_of_flate2_is_the_same() {
    let engines = [
        format!("{:?}", flate2::Compress::new(flate2::Compression::fast(), false)),
        format!("{:?}", flate2::Decompress::new(false)),
    ];
    assert!(engines.iter().all(|engine| engine.contains("zlib_rs")), "{engines:?}");
}

/// One engine, and so one version of it.
#[test]
fn there_is_no_other_in_the_lock_file() {
    let lock = include_str!("../../Cargo.lock");
    let count = |name: &str| lock.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
    assert_eq!(count("zlib-rs"), 1);
    for other in ["miniz_oxide", "libz-sys", "libz-ng-sys", "libz-rs-sys", "cloudflare-zlib-sys", "zlib-ng-sys"] {
        assert_eq!(count(other), 0, "{other}");
    }
}
