# Applies a bundle (files and marked blocks, read from standard input) to this machine, or takes it back.
#   bundle.sh apply|remove STACK STAGE
# The bundle is data: its text is never evaluated. What was there before the first apply is kept and comes back on remove.
# One script is made of lib.sh, this file, the stage's parts, and run.sh. A part takes the place of the hooks below by defining
# them again, and uses what the parts before it define. The stages' parts (there are none on the deploy host):
#   docker-daemon      machine.sh store.sh daemon.sh
#   firewall           machine.sh in_force.sh firewall.sh
#   etcd               service.sh etcd.sh
#   load-balancer      service.sh reload.sh nginx.sh
#   virtual-address    service.sh check_ip_conflict.sh
#   object-store       service.sh certificate.sh
#   other services     service.sh
#   node-config        ask.sh node_config.sh
#   kolla-node         node.sh
#   registry-client    client.sh
# After service.sh two of the hooks are its own: it leaves hook_service_line and hook_service_before_change to what follows.
# What is asked for every path is asked of the shell itself: most of a short run's time is what its processes cost.
umask 022

# shellcheck disable=SC2034  # read by run.sh, the last part
verb=$1
stack=$2
stage=$3
state=/var/lib/berth/$stack/$stage
work=$state/work
changed=''
newline='
'

# One line of the bundle that is for the stage, $1.
hook_line() { fail "the bundle has a line that this version does not know: $1"; }

# Whether the word $1 of a `when` line is true of this machine.
hook_condition() { fail "the bundle has a condition that this version does not know: $1"; }

# Every new file lies beside the old one as FILE.berth-new, and none is in its place yet: the last moment to refuse.
hook_before_change() { :; }

# All files are in their places, $work/changed and $work/dropped name them; undo_change takes them back.
hook_after_change() { :; }

# What was there before Berth is back.
hook_after_remove() { :; }

has_entry() {
    [ -f "$1" ] || return 1
    while IFS= read -r known; do
        [ "$known" != "$2" ] || return 0
    done <"$1"
    return 1
}

# The folder of a path, as dirname says it, in $above.
look_above() {
    above=${1%/*}
    while [ "$above" != "${above%/}" ]; do above=${above%/}; done
    above=${above:-/}
}

make_folder_of() {
    look_above "$1"
    [ -d "$above" ] || mkdir -p -- "$above"
}

is_there() { [ -e "$1" ] || [ -L "$1" ]; }

same_mode_and_owner() {
    both=$(stat -c '%a %u %g' -- "$1" "$2") && [ "${both%"$newline"*}" = "${both#*"$newline"}" ]
}

# Whether file $1 has the content of $2 and, as far as words tell, mode $3 and owner $4.
is_as_wanted() {
    [ -e "$1" ] && cmp -s -- "$2" "$1" && [ "$(stat -c '0%a %U:%G' -- "$1")" = "$3 $4" ]
}

cleanup() {
    status=$?
    if [ -f "$work/staged" ]; then
        set --
        while IFS= read -r staged_path; do
            ! is_there "$staged_path.berth-new" || set -- "$@" "$staged_path.berth-new"
        done <"$work/staged"
        [ "$#" -eq 0 ] || rm -f -- "$@"
    fi
    rm -rf -- "$work"
    exit "$status"
}

# Replaces $1 by $1.berth-new; a bind-mounted file cannot be renamed over and is written in place.
put_in_place() {
    if ! mv -fT -- "$1.berth-new" "$1" 2>/dev/null; then
        cp -p -- "$1" "$work/in-place"
        if ! cat -- "$1.berth-new" >"$1"; then
            cat -- "$work/in-place" >"$1" || :
            fail "$1 could not be written; its old content was put back. Is the disk full?"
        fi
        rm -f -- "$1.berth-new"
    fi
}

make_parents() {
    look_above "$1"
    set --
    while [ ! -d "$above" ]; do
        set -- "$above" "$@"
        look_above "$above"
    done
    for directory; do
        # Another stage's bundle may be making it at this very moment.
        if problem=$(mkdir -- "$directory" 2>&1); then
            printf 'made %s\n' "$directory" >>"$work/manifest"
        elif [ ! -d "$directory" ]; then
            fail "the directory $directory could not be made: $problem"
        fi
    done
}

without_block() {
    awk -v begin="# BEGIN berth $stack" -v end="# END berth $stack" '
        $0 == begin { inside = 1; next }
        $0 == end { inside = 0; next }
        !inside { print }' <"$1"
}

# Reads the body of an entry ("|line" ... "end" or "end-without-newline") from standard input into a file.
read_body() {
    body=$1
    : >"$body" || fail "$body could not be written. Is the disk full?"
    between=''
    while IFS= read -r line; do
        case $line in
        '|'*)
            printf '%s%s' "$between" "${line#|}" || fail "$body could not be written. Is the disk full?"
            between=$newline
            ;;
        end)
            printf '%s' "$between" || fail "$body could not be written. Is the disk full?"
            return 0
            ;;
        end-without-newline) return 0 ;;
        *) fail "the bundle is damaged near: $line" ;;
        esac
    done >>"$body"
    fail "the bundle ends in the middle of $body"
}

stage_entry() {
    kind=$1 mode=$2 owner=$3 path=$4
    case $path in /*) ;; *) fail "the bundle names a path that is not absolute: $path" ;; esac
    make_parents "$path"
    printf '%s\n' "$path" >>"$work/staged"
    printf '%s %s\n' "$kind" "$path" >>"$work/manifest"
    new=$path.berth-new
    ! is_there "$new" || rm -f -- "$new"
    if [ "$kind" = block ]; then
        read_body "$work/block"
        [ -e "$path" ] || : >"$path"
        cp -p -- "$path" "$new" || fail "$path could not be written. Is the disk full?"
        { without_block "$path" && printf '# BEGIN berth %s\n' "$stack" && cat -- "$work/block" &&
            printf '# END berth %s\n' "$stack"; } >"$new" || fail "$path could not be written. Is the disk full?"
    else
        umask 077
        true >"$new" || fail "$path could not be written. Is the disk full?"
        umask 022
        read_body "$new"
        ! is_as_wanted "$path" "$new" "$mode" "$owner" || return 0
        chown -- "$owner" "$new" || fail "the owner $owner of $path is not known on this node"
        chmod -- "$mode" "$new"
    fi
    if [ ! -e "$path" ] || ! cmp -s -- "$new" "$path" || ! same_mode_and_owner "$new" "$path"; then
        printf '%s\n' "$path" >>"$work/changed"
    fi
}

stage_directory() {
    mode=$1 owner=$2 path=$3
    make_parents "$path/."
    (
        # Whom the folder above belongs to could have put a link here, to have something else given to him.
        where=$(cd -P -- "${path%/*}/" && pwd -P) && cd -P -- "$path" || fail "$path cannot be entered"
        [ "$(pwd -P)" = "${where%/}/${path##*/}" ] || [ "$(stat -c %u -- "$where")" -eq 0 ] ||
            fail "$path is a link, in a folder that is not root's: make a folder of it"
        chown -- "$owner" . || fail "the owner $owner of $path is not known on this node"
        chmod -- "$mode" .
    ) || exit
}

read_bundle() {
    : >"$work/staged"
    : >"$work/changed"
    : >"$work/manifest"
    if [ -f "$state/manifest" ]; then
        while IFS= read -r entry; do
            case $entry in made\ *) printf '%s\n' "$entry" >>"$work/manifest" ;; esac
        done <"$state/manifest"
    fi
    wanted=yes
    IFS= read -r header || fail 'the bundle is empty'
    [ "$header" = 'berth-bundle 1' ] || fail "the bundle has an unknown header: $header"
    while IFS= read -r entry; do
        case $entry in
        'when '*)
            for word in ${entry#when }; do hook_condition "$word" || wanted=no; done
            continue
            ;;
        'file '*)
            if [ "$wanted" = no ]; then
                read_body "$work/unwanted"
                wanted=yes
                continue
            fi
            rest=${entry#file }
            mode=${rest%% *} rest=${rest#* }
            owner=${rest%% *}
            stage_entry file "$mode" "$owner" "${rest#* }"
            ;;
        'block '*) stage_entry block - - "${entry#block }" ;;
        'directory '*)
            rest=${entry#directory }
            mode=${rest%% *} rest=${rest#* }
            owner=${rest%% *}
            stage_directory "$mode" "$owner" "${rest#* }"
            ;;
        # Names the machine, so that a new one is another bundle; there is nothing to do about it here.
        machine*) ;;
        *) hook_line "$entry" ;;
        esac
    done
}

keep_original() {
    kept=$state/original$1
    if has_entry "$work/manifest" "block $1" || has_entry "$state/manifest" "file $1"; then return 0; fi
    if [ -e "$kept" ] || [ -e "$kept.absent" ]; then return 0; fi
    make_folder_of "$kept"
    if [ -e "$1" ]; then cp -p -- "$1" "$kept"; else : >"$kept.absent"; fi || fail "no room to keep the original of $1"
}

put_back() {
    kind=$1 path=$2
    if [ "$kind" = block ]; then
        [ -e "$path" ] || return 0
        without_block "$path" >"$path.berth-new" || fail "$path could not be written. Is the disk full?"
        chmod --reference="$path" -- "$path.berth-new"
        put_in_place "$path"
        return 0
    fi
    kept=$state/original$path
    if [ -e "$kept" ]; then
        cp -p -- "$kept" "$path.berth-new" && put_in_place "$path"
    else
        rm -f -- "$path"
    fi
    rm -f -- "$kept" "$kept.absent"
}

take_back_dropped() {
    [ -f "$state/manifest" ] || return 0
    while IFS= read -r entry; do
        case $entry in
        made\ *) continue ;;
        esac
        has_entry "$work/manifest" "$entry" && continue
        path=${entry#* }
        printf '%s\n' "$path" >>"$work/dropped"
        put_back "${entry%% *}" "$path"
        log "taken back $path"
    done <"$state/manifest"
}

# Saves what a change replaces, so that the stage can undo it when the service does not come back.
save_previous() {
    previous=$work/previous$1
    [ -e "$1" ] || return 0
    make_folder_of "$previous"
    cp -p -- "$1" "$previous" || fail "no room to save $1"
}

undo_change() {
    while IFS= read -r path; do
        previous=$work/previous$path
        if [ -e "$previous" ]; then
            cp -p -- "$previous" "$path.berth-new" && put_in_place "$path"
        else
            rm -f -- "$path"
        fi
    done <"$work/changed"
}

is_changed() { grep -qxF -- "$1" "$work/changed" "$work/dropped" 2>/dev/null; }

# Taken back by the script that applied it, whatever the next version's looks like.
keep_script() {
    [ -n "${stage_script:-}" ] || return 0
    printf '%s\n' "$stage_script" >"$state/script.new"
    mv -f -- "$state/script.new" "$state/script"
}

apply() {
    mkdir -p -- "$work"
    chmod 0700 /var/lib/berth "$state"
    : >"$work/dropped"
    trap cleanup EXIT
    trap 'exit 143' TERM INT HUP
    read_bundle
    keep_script
    hook_before_change
    while IFS= read -r path; do
        keep_original "$path"
        save_previous "$path"
    done <"$work/changed"
    # The manifest goes first: what a killed run has put in place is still taken back by a later remove.
    if [ -s "$work/changed" ]; then
        if [ -f "$state/manifest" ]; then set -- "$state/manifest"; else set --; fi
        LC_ALL=C sort -u -o "$state/manifest.new" "$@" "$work/manifest"
        mv -f -- "$state/manifest.new" "$state/manifest"
    fi
    while IFS= read -r path; do
        put_in_place "$path"
        changed=yes
        log "changed $path"
    done <"$work/changed"
    take_back_dropped
    [ ! -s "$work/dropped" ] || changed=yes
    hook_after_change
    LC_ALL=C sort -u -o "$state/manifest" "$work/manifest"
    [ -n "$changed" ] || log 'nothing to change'
}

forget() {
    rm -rf -- "$state"
    rmdir -- "/var/lib/berth/$stack" /var/lib/berth 2>/dev/null || :
}

remove() {
    cat >/dev/null
    if [ ! -f "$state/manifest" ]; then
        forget
        return 0
    fi
    mkdir -p -- "$work"
    : >"$work/changed"
    : >"$work/dropped"
    trap cleanup EXIT
    while IFS= read -r entry; do
        case $entry in
        made\ *) continue ;;
        esac
        put_back "${entry%% *}" "${entry#* }"
    done <"$state/manifest"
    sort -r "$state/manifest" | sed -n 's/^made //p' >"$work/made"
    while IFS= read -r path; do rmdir -- "$path" 2>/dev/null || :; done <"$work/made"
    hook_after_remove
    trap - EXIT
    forget
}
