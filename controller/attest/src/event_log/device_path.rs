//! Where a program was loaded from: `UEFI_IMAGE_LOAD_EVENT` (PC Client Platform Firmware Profile 1.05, section
//! 10.4.1.2) and the UEFI device path in it (UEFI 2.10, section 10). A claim of the host: only the program is hashed.

use super::bytes::Bytes;
use super::text;
use super::variable::Guid;

/// Type and subtype of the nodes that tell where a program is from.
const PCI: [u8; 2] = [0x01, 0x01];
const MAC_ADDRESS: [u8; 2] = [0x03, 0x0b];
const FILE_PATH: [u8; 2] = [0x04, 0x04];
const FIRMWARE_FILE: [u8; 2] = [0x04, 0x06];
const OFFSET_RANGE: [u8; 2] = [0x04, 0x08];
/// The type of the last node.
const END: u8 = 0x7f;

/// Most nodes of a path that are looked at. Real ones have up to a dozen.
const MAX_NODES: usize = 64;

/// Where an image load event says that its program is from: a path on a disk, a file in the firmware, the memory of a
/// card, the network. None if it does not say, as for a program that shim had in memory.
pub(super) fn origin(image_load: &[u8]) -> Option<String> {
    let mut bytes = Bytes::new(image_load);
    let [_location, _length, _link_time] = [bytes.u64()?, bytes.u64()?, bytes.u64()?];
    let len = bytes.u64()?;
    origin_of_path(bytes.take_u64(len)?)
}

/// One node after the other. A file may be told in several nodes, which belong together; a card is behind others.
fn origin_of_path(path: &[u8]) -> Option<String> {
    let mut bytes = Bytes::new(path);
    let (mut file, mut card, mut network, mut is_option_rom) = (String::new(), None, None, false);
    for _ in 0..MAX_NODES {
        let Some(kind) = bytes.array() else { break };
        // The length counts its own four bytes.
        let Some(len) = bytes.u16().and_then(|len| len.checked_sub(4)) else { break };
        let Some(node) = bytes.take(usize::from(len)) else { break };
        match (kind, node) {
            ([END, _], _) => break,
            (FILE_PATH, _) => join(&mut file, &text::utf16(node)?),
            (FIRMWARE_FILE, _) => join(&mut file, &format!("firmware file {}", Guid(node.try_into().ok()?))),
            (PCI, [function, device]) => card = Some(format!("option ROM of PCI device {device:02x}.{function}")),
            (MAC_ADDRESS, _) => {
                let colons = |mac: &[u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
                network = node.first_chunk().map(|mac| format!("network card {}", colons(mac)));
            }
            (OFFSET_RANGE, _) => is_option_rom = true,
            _ => {}
        }
    }
    if file.is_empty() { network.or(card.filter(|_| is_option_rom)) } else { Some(file) }
}

fn join(file: &mut String, part: &str) {
    if !file.is_empty() && !file.ends_with('\\') && !part.starts_with('\\') {
        file.push('\\');
    }
    file.push_str(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: u8, subtype: u8, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(data.len() + 4).unwrap().to_le_bytes();
        [&[kind, subtype][..], &len, data].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn file_nodes_are_joined_and_others_skipped() {
        let disk = node(0x04, 0x01, &[0; 38]);
        let path = [disk, node(4, 4, &text("\\EFI\\debian")), node(4, 4, &text("shimx64.efi")), node(0x7f, 0xff, &[])];
        assert_eq!(origin_of_path(&path.concat()).as_deref(), Some("\\EFI\\debian\\shimx64.efi"));
        let firmware = node(4, 6, &Guid::GLOBAL.0);
        assert_eq!(origin_of_path(&firmware).as_deref(), Some("firmware file 8be4df61-93ca-11d2-aa0d-00e098032b8c"));
    }

    #[test]
    fn a_card_and_the_network_are_where_programs_are_from_too() {
        let card = [node(1, 1, &[0, 1]), node(1, 1, &[3, 0]), node(4, 8, &[0; 20])].concat();
        assert_eq!(origin_of_path(&card).as_deref(), Some("option ROM of PCI device 00.3"));
        let network = [node(1, 1, &[0, 1]), node(3, 11, &[0x0c; 33]), node(3, 12, &[0; 23])].concat();
        assert_eq!(origin_of_path(&network).as_deref(), Some("network card 0c:0c:0c:0c:0c:0c"));
        assert_eq!(origin_of_path(&node(1, 1, &[0, 1])), None);
    }

    #[test]
    fn a_path_without_end_or_with_a_length_that_lies_has_an_end_here() {
        for path in [&[4, 4, 0, 0][..], &[4, 4, 3, 0], &[4, 4, 0xff, 0xff, 1], &[4], &[4, 6, 5, 0, 1]] {
            assert_eq!(origin_of_path(path), None);
        }
        let endless = node(4, 4, &text("a")).repeat(10_000);
        assert_eq!(origin_of_path(&endless).unwrap().len(), 2 * MAX_NODES - 1);
    }
}
