# One virtual machine. Every step looks first, so that a run that was killed anywhere is finished by the next one.
#   apply    makes or changes it and starts it: from the live ISO, or from its disk if that is installed
#   boot     ends an installation: takes the discs out and starts the machine from its disk
#   remove   takes the machine away; its disk stays unless the settings allow to lose it
#
# Beside the disk lies a note: `empty` when Berth made it and nothing is installed, `installed DIGEST` afterwards.
name=$(get name) node=$(get node) folder=$(path directory) setting=$(get setting) digest=$(get config)
disk=$folder/$name.vdi note=$folder/$name.note drive=$(path drive) iso=$(path iso)
lock=$folder/$(get network).lock
STOP_SECONDS=${BERTH_STOP_SECONDS:-120}

# The machine's description, without quotes; nothing where there is no such machine.
look() {
    known=$(VBoxManage showvminfo "$name" --machinereadable 2>/dev/null | tr -d '"')
}

fact() {
    printf '%s\n' "$known" | sed -n "s|^$1=||p"
}

change() {
    vbox "$@"
    look
}

installed() {
    grep -q '^installed ' "$note" 2>/dev/null
}

capacity() {
    VBoxManage showmediuminfo disk "$disk" 2>/dev/null | sed -n 's/^Capacity: *\([0-9]*\) MBytes$/\1/p'
}

off() {
    case $(fact VMState) in '' | poweroff | aborted | saved | aborted-saved) return 0 ;; esac
    return 1
}

# A live system has nothing to lose; an installed one is asked to shut down.
stop() {
    off && return
    if installed; then
        change controlvm "$name" acpipowerbutton
        left=$STOP_SECONDS
        until look && off; do
            [ "$left" -gt 0 ] || fail "$node did not shut down within $STOP_SECONDS s; shut it down, then run again"
            left=$((left - 1))
            sleep 1
        done
    else
        change controlvm "$name" poweroff
    fi
    # The process that was the machine lets go of its files a moment later.
    sleep "${BERTH_PAUSE:-2}"
}

start() {
    case $(fact VMState) in
    paused) change controlvm "$name" resume ;;
    *) ! off || change startvm "$name" --type headless ;;
    esac
    seconds=$(get seconds) port=$(get port)
    wanted=$(get host-key | cut -d ' ' -f 1,2)
    until=$(($(date +%s) + seconds))
    while :; do
        shown=$(ssh-keyscan -T 5 -t ed25519 -p "$port" 127.0.0.1 2>/dev/null | cut -d ' ' -f 2,3 | head -n 1)
        [ "$shown" != "$wanted" ] || return 0
        if [ "$(date +%s)" -ge "$until" ]; then
            [ -z "$shown" ] || fail "what answers at 127.0.0.1:$port shows another host key than the one made for $node"
            fail "$node did not answer at 127.0.0.1:$port within $seconds s; its screen (VirtualBox's window) says why"
        fi
        sleep 1
    done
}

need_iso() {
    [ -f "$iso" ] || fail "there is no file $iso (berth:virtualbox.iso); put the live ISO there, then run again"
    sum=$(sha256sum <"$iso" | cut -d ' ' -f 1)
    [ "$sum" = "$(get sha256)" ] ||
        fail "the checksum of $iso is $sum, not berth:virtualbox.sha256; download it anew or correct the setting"
}

# Why the disk cannot stay as it is; nothing if it can.
obstacle() {
    [ -e "$disk" ] || return 0
    if [ ! -e "$note" ]; then
        echo "is there already, and Berth did not make it"
    elif [ -z "$(capacity)" ]; then
        echo "is no disk that VirtualBox can read"
    elif [ "$(capacity)" -gt "$(get disk)" ]; then
        echo "has $(capacity) MB, and no disk can be made smaller"
    elif [ "$(get replace)" = yes ] && installed && [ "$(cat "$note")" != "installed $digest" ]; then
        echo "holds another configuration"
    fi
}

may_be_lost() {
    [ "$(get replace)" = yes ] || [ "$(cat "$note" 2>/dev/null)" = empty ]
}

forget_disk() {
    [ "$(fact SATA-0-0)" != "$disk" ] ||
        change storageattach "$name" --storagectl SATA --port 0 --device 0 --medium none
    # Where VirtualBox does not know it, there is nothing to forget.
    VBoxManage closemedium disk "$disk" >/dev/null 2>&1 || true
}

lose_disk() {
    stop
    rm -f "$note"
    forget_disk
    rm -f "$disk"
}

make_disk() {
    [ -e "$disk" ] || rm -f "$note"
    why=$(obstacle)
    [ -z "$why" ] || may_be_lost ||
        fail "$disk $why; $setting.replace: true allows Berth to lose all that is on it"
    # Before anything is lost for it.
    if [ -n "$why" ] || ! installed; then need_iso; fi
    [ -z "$why" ] || lose_disk
    if [ ! -e "$disk" ]; then
        forget_disk
        echo empty >"$note"
        vbox createmedium disk --filename "$disk" --size "$(get disk)" --format VDI
    fi
}

define() {
    if [ -z "$(fact name)" ]; then
        # Killed between its two halves, createvm leaves a machine that is not registered.
        if [ -f "$folder/$name/$name.vbox" ]; then
            change registervm "$folder/$name/$name.vbox"
        else
            change createvm --name "$name" --basefolder "$folder" --ostype Linux_64 --register
        fi
    fi
    set --
    for pair in "memory=$(get memory)" "cpus=$(get cpus)" nic1=natnetwork "nat-network1=$(get network)" \
        "macaddress1=$(get mac)" audio=none usb=off ehci=off xhci=off boot1=dvd boot2=disk boot3=none; do
        key=${pair%%=*} value=${pair#*=}
        [ "$(fact "$key")" = "$value" ] && continue
        case $key in ehci | xhci) key=usb$key ;; esac
        set -- "$@" "--$key" "$value"
    done
    if [ "$#" -gt 0 ]; then
        stop
        change modifyvm "$name" "$@"
    fi
    if [ "$(capacity)" -lt "$(get disk)" ]; then
        stop
        vbox modifymedium disk "$disk" --resize "$(get disk)"
    fi
    [ -n "$(fact storagecontrollername0)" ] ||
        change storagectl "$name" --name SATA --add sata --controller IntelAhci --portcount 3 --bootable on
    [ "$(fact SATA-0-0)" = "$disk" ] ||
        change storageattach "$name" --storagectl SATA --port 0 --device 0 --type hdd --medium "$disk"
    if installed; then
        insert emptydrive emptydrive
    else
        insert "$iso" "$drive"
    fi
}

# The discs in the two optical drives: live system, configuration.
insert() {
    for drive_port in 1 2; do
        [ "$(fact "SATA-$drive_port-0")" = "$1" ] || change storageattach "$name" --storagectl SATA \
            --port "$drive_port" --device 0 --type dvddrive --medium "$1" --forceunmount
        shift
    done
}

settle() {
    make_disk
    define
    start
}

apply() {
    mkdir -p "$folder"
    if installed; then
        # Machines in use are changed one after the other: a registry that lost all of them at once would be down.
        (
            flock 9
            settle 9>&-
        ) 9>"$lock"
    else
        settle
    fi
    if installed; then echo "$name runs from its disk"; else echo "$name runs from the live ISO"; fi
}

boot() {
    if ! installed; then
        # With both drives empty it was started from its disk before.
        if [ "$(fact SATA-1-0) $(fact SATA-2-0)" != 'emptydrive emptydrive' ]; then
            stop
            insert emptydrive emptydrive
        fi
        start
        echo "installed $digest" >"$note"
    fi
    echo "$name runs from its disk"
}

remove() {
    if [ -n "$(fact name)" ]; then
        stop
        # VirtualBox deletes every disk that is still attached.
        forget_disk
        change unregistervm "$name" --delete
    fi
    rm -f "$lock"
    if [ ! -e "$disk" ]; then
        rm -f "$note"
    elif may_be_lost; then
        lose_disk
    else
        forget_disk
        echo "kept: $disk"
    fi
}

need_virtualbox
look
"$1"
