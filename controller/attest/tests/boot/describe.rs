//! What people read of an event.

use flota_attest::event_log::{EventKind as K, describe};

use crate::built::{GLOBAL, Log, boot_option, debian, node, signature_list, utf16, variable};

fn shown(log: &Log) -> Vec<String> {
    log.parse().events().iter().map(describe).collect()
}

fn one(pcr: u32, kind: K, data: impl AsRef<[u8]>) -> String {
    shown(Log::empty().hashed(pcr, kind, data)).remove(0)
}

#[test]
fn a_boot_reads_like_a_boot() {
    let expected = "\
EV_S_CRTM_VERSION 2.19.1
EV_EFI_PLATFORM_FIRMWARE_BLOB 0 bytes at 0x0
EV_EFI_VARIABLE_DRIVER_CONFIG SecureBoot = on
EV_EFI_VARIABLE_DRIVER_CONFIG PK = 1 entry
EV_EFI_VARIABLE_DRIVER_CONFIG KEK = 2 entries
EV_EFI_VARIABLE_DRIVER_CONFIG db = 3 entries
EV_EFI_VARIABLE_DRIVER_CONFIG dbx = 371 entries
EV_SEPARATOR
EV_EFI_VARIABLE_BOOT BootOrder = 0001,0000
EV_EFI_VARIABLE_BOOT Boot0001 = debian
EV_EFI_BOOT_SERVICES_DRIVER \\OptionRom(0x10,0x20)
EV_EFI_ACTION Calling EFI Application from Boot Option
EV_SEPARATOR
EV_SEPARATOR
EV_SEPARATOR
EV_SEPARATOR
EV_SEPARATOR
EV_SEPARATOR
EV_SEPARATOR
EV_EFI_GPT_EVENT disk d1d1d1d1-d1d1-d1d1-d1d1-d1d1d1d1d1d1, partitions: 2
EV_EFI_VARIABLE_AUTHORITY db: 77777777-7777-7777-7777-777777777777
EV_EFI_BOOT_SERVICES_APPLICATION \\EFI\\debian\\shimx64.efi
EV_IPL MokList
EV_EFI_VARIABLE_AUTHORITY SbatLevel: sbat,1,2024010900\\n
EV_EFI_BOOT_SERVICES_APPLICATION \\EFI\\debian\\grubx64.efi
EV_IPL (hd0,gpt2)/boot/grub/grub.cfg
EV_IPL grub_cmd: linux /boot/vmlinuz-6.1.0-18-amd64 root=/dev/sda2 ro quiet
EV_EFI_BOOT_SERVICES_APPLICATION \\boot\\vmlinuz-6.1.0-18-amd64
EV_IPL /boot/vmlinuz-6.1.0-18-amd64
EV_EVENT_TAG Linux initrd
EV_EFI_ACTION Exit Boot Services Invocation
EV_EFI_ACTION Exit Boot Services Returned with Success";
    assert_eq!(shown(&debian()).join("\n"), expected);
}

#[test]
fn what_has_no_words_is_named_by_its_type() {
    assert_eq!(one(9, K::IPL, [1, 2, 3]), "EV_IPL");
    assert_eq!(one(9, K::from_number(0x1234_5678), "words"), "event type 0x12345678 words");
    assert_eq!(one(0, K::S_CRTM_VERSION, GLOBAL), "EV_S_CRTM_VERSION 8be4df61-93ca-11d2-aa0d-00e098032b8c");
    assert_eq!(one(12, K::IPL, utf16("console=ttyS0\0")), "EV_IPL console=ttyS0");
    assert_eq!(one(6, K::SEPARATOR, [1, 0, 0, 0]), "EV_SEPARATOR (firmware had an error)");
    assert_eq!(one(0, K::NO_ACTION, b"StartupLocality\0\x03"), "EV_NO_ACTION startup locality 3");
    assert_eq!(one(0, K::NO_ACTION, "anything that nobody vouches for"), "EV_NO_ACTION");
    assert_eq!(one(0, K::EFI_PLATFORM_FIRMWARE_BLOB2, b"\x04DXE\0\0\0\0"), "EV_EFI_PLATFORM_FIRMWARE_BLOB2 DXE");
}

#[test]
fn variables_that_are_not_what_their_name_says_are_bytes() {
    let config = |name: &str, value: &[u8]| one(7, K::EFI_VARIABLE_DRIVER_CONFIG, variable(GLOBAL, name, value));
    assert_eq!(config("SecureBoot", &[0]), "EV_EFI_VARIABLE_DRIVER_CONFIG SecureBoot = off");
    assert_eq!(config("SecureBoot", &[]), "EV_EFI_VARIABLE_DRIVER_CONFIG SecureBoot = not set");
    assert_eq!(config("SecureBoot", &[7]), "EV_EFI_VARIABLE_DRIVER_CONFIG SecureBoot = 1 bytes");
    assert_eq!(config("db", &[]), "EV_EFI_VARIABLE_DRIVER_CONFIG db = empty");
    assert_eq!(config("db", &[1; 40]), "EV_EFI_VARIABLE_DRIVER_CONFIG db = 40 bytes");
    let mut endless = signature_list(1);
    endless[24..28].fill(0);
    assert_eq!(config("db", &endless), "EV_EFI_VARIABLE_DRIVER_CONFIG db = 76 bytes");
    assert_eq!(config("BootOrder", &[1]), "EV_EFI_VARIABLE_DRIVER_CONFIG BootOrder = 1 bytes");
    let order = config("BootOrder", &[3, 0].repeat(40));
    assert_eq!(order, format!("EV_EFI_VARIABLE_DRIVER_CONFIG BootOrder = {}…", "0003,".repeat(16)));
    assert_eq!(one(7, K::EFI_VARIABLE_DRIVER_CONFIG, [9; 60]), "EV_EFI_VARIABLE_DRIVER_CONFIG");
}

#[test]
fn a_description_cannot_act_on_a_terminal_and_has_an_end() {
    let hostile = "grub_cmd: \u{1b}]0;owned\u{7}\r\nPCR 4: + \u{202e}fdp.exe";
    assert_eq!(one(8, K::IPL, hostile), "EV_IPL grub_cmd: \\u{1b}]0;owned\\u{7}\\r\\nPCR 4: + \\u{202e}fdp.exe");
    let long = one(8, K::IPL, "\u{202e}x".repeat(50_000));
    assert!(long.ends_with('…') && long.chars().count() <= 7 + 200 + 1, "{}", long.chars().count());
    let path = node(4, 4, &utf16(&"\\\u{7}".repeat(10_000)));
    let mut data = [0, 0, 0, path.len() as u64].map(u64::to_le_bytes).concat();
    data.extend(path);
    assert!(one(4, K::EFI_BOOT_SERVICES_APPLICATION, data).chars().count() < 300);
    let option = variable(GLOBAL, "Boot0001", &boot_option("de\u{8}\u{8}windows"));
    assert_eq!(one(1, K::EFI_VARIABLE_BOOT, option), "EV_EFI_VARIABLE_BOOT Boot0001 = de\\u{8}\\u{8}windows");
}

#[test]
fn the_data_of_a_type_in_a_wrong_pcr_is_not_shown() {
    let shown = one(7, K::IPL, "SecureBoot = on");
    assert_eq!(shown, "EV_IPL (data not shown: no such event belongs into PCR 7)");
}

#[test]
fn lengths_that_lie_name_nothing() {
    for len in [u64::MAX, 1 << 40, 5] {
        let data = [&[0; 24][..], &len.to_le_bytes(), &node(4, 4, &utf16("\\x"))[..4]].concat();
        assert_eq!(one(4, K::EFI_BOOT_SERVICES_APPLICATION, data), "EV_EFI_BOOT_SERVICES_APPLICATION");
        let mut variable = variable(GLOBAL, "db", &[0; 20]);
        variable[24..32].copy_from_slice(&len.to_le_bytes());
        assert!(!one(7, K::EFI_VARIABLE_AUTHORITY, variable).contains('\u{0}'));
    }
    assert_eq!(one(9, K::EVENT_TAG, [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), "EV_EVENT_TAG");
}
