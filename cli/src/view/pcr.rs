//! What a platform configuration register stands for: the numbers mean nothing to most who read them.

/// In a few words, by the PC client profile for 0 to 7, by GRUB and systemd above; empty for one without a custom.
pub(crate) const fn measures(index: u32) -> &'static str {
    match index {
        0 => "firmware",
        1 => "firmware settings",
        2 => "option ROMs",
        3 => "option ROM settings",
        4 => "boot loader",
        5 => "partitions",
        6 => "manufacturer",
        7 => "Secure Boot",
        8 => "boot loader commands",
        9 => "kernel and initramfs",
        10 => "files at run time",
        11 => "unified kernel image",
        12 => "kernel command line",
        13 => "system extensions",
        14 => "owner's boot keys",
        15 => "system identity",
        _ => "",
    }
}
