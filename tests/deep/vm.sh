# vm.sh - a computer of one's own: a real kernel, systemd, control groups of version 2 alone
# shellcheck shell=sh disable=SC3043
#
# Sourced after lib.sh. Emulated: /dev/kvm inside a virtual machine is often there and does not work.

vm_packages=systemd-sysv,linux-image-cloud-amd64,initramfs-tools,kmod,procps,iproute2,nftables,git,jq,python3

vm_begin() {
    deep_begin
    skip_unless 'qemu-system-x86_64 is not installed (tools/install-deps deep)' command -v qemu-system-x86_64
    skip_unless 'the virtual machine is x86' test "$(uname -m)" = x86_64
}

# vm_root PACKAGE.deb: a Debian in $DEEP_DIR/vm with what PACKAGE depends on, to be changed; vm_disk: that as
# a disk
vm_root() {
    local depends
    depends=$(dpkg-deb --field "$1" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/ //g') &&
        deep_root vm "$vm_packages,$depends"
}

vm_disk() {
    local root=$DEEP_DIR/vm
    cp "$root"/boot/vmlinuz-* "$DEEP_DIR/kernel" && cp "$root"/boot/initrd.img-* "$DEEP_DIR/initrd" &&
        truncate -s 3G "$DEEP_DIR/disk" && mke2fs -q -t ext4 -d "$root" "$DEEP_DIR/disk" >/dev/null
}

# vm_boot SECONDS: until it powers itself off. What it prints goes to console.out, what it writes to ttyS1 to
# results.
vm_boot() {
    timeout "$1" qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 -nodefaults -no-reboot -display none \
        -drive "file=$DEEP_DIR/disk,if=virtio,format=raw,cache=unsafe" -kernel "$DEEP_DIR/kernel" -initrd "$DEEP_DIR/initrd" \
        -append 'root=/dev/vda rw console=ttyS0 quiet systemd.unified_cgroup_hierarchy=1 systemd.show_status=0 mitigations=off' \
        -serial file:console.out -serial file:results -nic none </dev/null 2>qemu.err
}
