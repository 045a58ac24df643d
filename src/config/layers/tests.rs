#![allow(clippy::unwrap_used)]
use super::*;

const SAMPLE: &str = include_str!("../../../docs/config.toml");

fn variables(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn flags(data: &Path) -> Flags {
    Flags {
        data: Some(data.to_owned()),
        ..Flags::default()
    }
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join(FILE),
        "log = \"warn\"\nstore = \"sled\"\n[storage]\nmax_bytes = \"1 GiB\"\n[http]\nlisten = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let environment = variables(&[("DATT_LOG", "debug"), ("DATT_HTTP_LISTEN", "127.0.0.1:2")]);
    let mut flags = flags(dir.path());
    flags.up.http = Some("127.0.0.1:3".parse().unwrap());
    let config = Config::layered(&flags, &environment).unwrap();
    assert_eq!(config.http.listen.port(), 3);
    assert_eq!(config.log, "debug");
    assert_eq!(config.store, Backend::Sled);
    assert_eq!(config.storage.max_bytes, 1 << 30);
    assert_eq!(config.auto_fetch.max_bytes, 32 << 20);
    flags.up.http = None;
    let config = Config::layered(&flags, &environment).unwrap();
    assert_eq!(config.http.listen.port(), 2);
}

#[test]
fn the_data_folder_comes_from_the_flag_then_the_variable() {
    let environment = variables(&[(DATA_VARIABLE, "/from/variable")]);
    let by_flag = Config::layered(&flags(Path::new("/from/flag")), &environment).unwrap();
    assert_eq!(by_flag.data, Path::new("/from/flag"));
    let by_variable = Config::layered(&Flags::default(), &environment).unwrap();
    assert_eq!(by_variable.data, Path::new("/from/variable"));
}

#[test]
fn unknown_keys_and_bad_values_name_the_line() {
    let dir = tempfile::tempdir().unwrap();
    for (text, line, word) in [
        ("log = \"info\"\nstroe = \"redb\"\n", "line 2", "stroe"),
        ("[http]\nlisten = 8420\n", "line 2", "listen"),
        ("[storage]\n\nmax_bytes = \"many\"\n", "line 3", "many"),
        ("store = \"rocksdb\"\n", "line 1", "rocksdb"),
        ("peers = [\"nonsense\"]\n", "line 1", "datt"),
        ("[http\n", "line 1", "http"),
    ] {
        fs::write(dir.path().join(FILE), text).unwrap();
        let error = Config::layered(&flags(dir.path()), &BTreeMap::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains(line), "{text}: {error}");
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn a_bad_variable_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("DATT_OFFLINE", "maybe"),
        ("DATT_STORE", "rocksdb"),
        ("DATT_STORAGE_MAX_BYTES", "lots"),
        ("DATT_NETWORK_UDP_PORT", "70000"),
        ("DATT_HTTP_TRUSTED_PROXIES", "10.0.0.0/8,nonsense"),
        ("DATT_PAYMENTS_NETWORK", "mainnet"),
        ("DATT_PAYMENTS_PEERS", "127.0.0.1"),
    ] {
        let error = Config::layered(&flags(dir.path()), &variables(&[(name, value)]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut flags = flags(dir.path());
    assert_eq!(
        Config::layered(&flags, &BTreeMap::new()).unwrap().log,
        Config::default().log
    );
    flags.config = Some(dir.path().join("absent.toml"));
    assert!(matches!(
        Config::layered(&flags, &BTreeMap::new()),
        Err(ConfigError::Read { .. })
    ));
}

#[test]
fn contradictions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for list in [
        vec![("DATT_OFFLINE", "true"), ("DATT_HTTP_LISTEN", "0.0.0.0:80")],
        vec![("DATT_HTTP_PUBLIC_URL", "forum.example")],
        vec![("DATT_HTTP_PUBLIC_URL", "https://forum.example/path")],
        vec![("DATT_GOSSIP_MAX_TOPICS", "0")],
        vec![("DATT_MEDIA_THUMB_PIXELS", "1")],
        vec![("DATT_TORRENT_ACTIVE_HOURS", "at night")],
        vec![("DATT_TORRENT_ACTIVE_HOURS", "06:00-06:00")],
        vec![("DATT_TRAFFIC_MAX_IN_BYTES_PER_S", "1000")],
        vec![("DATT_TORRENT_MAX_UPLOAD_BYTES_PER_S", "16383")],
        vec![("DATT_PAYMENTS_SETTLED_CONFIRMATIONS", "0")],
        vec![("DATT_PAYMENTS_PUBLISH_CONFIRMATIONS", "0")],
    ] {
        let result = Config::layered(&flags(dir.path()), &variables(&list));
        assert!(matches!(result, Err(ConfigError::Value { .. })), "{list:?}");
    }
}

#[test]
fn the_sample_file_is_the_defaults() {
    assert_eq!(toml::from_str::<Config>(SAMPLE).unwrap(), Config::default());
}

/// Keys of a table, sections joined by dots.
fn keys(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(section) => {
                keys.extend(section.keys().map(|inner| format!("{key}.{inner}")));
            }
            _ => keys.push(key.clone()),
        }
    }
    keys.sort();
    keys
}

#[test]
fn the_sample_and_the_environment_know_every_key() {
    // Optional values stand in the sample as comments of the form `# key = value`.
    let whole: String = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest.starts_with("[[") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    toml::from_str::<Config>(&whole).unwrap();
    let mut sample: Table = toml::from_str(&whole).unwrap();
    // A list of tables: only a file can hold it.
    assert!(sample.remove("mirror").is_some());
    let sample = keys(&sample);
    let mut settings: Vec<_> = SETTINGS.iter().map(|(key, _)| (*key).to_owned()).collect();
    settings.sort();
    assert_eq!(sample, settings);
    let defaults = keys(&Table::try_from(Config::default()).unwrap());
    assert!(defaults.iter().all(|key| settings.contains(key)));
}
