# The Docker daemon's part of a bundle. Lines: key NAME reload|restart DIGEST; expect FORMAT VALUE; adopt yes|no; timeout SECONDS.
daemon_json=/etc/docker/daemon.json
adopt=no
timeout=60
drop_ins=/etc/systemd/system/docker.service.d

hook_line() {
    case $1 in
    "key$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/keys" ;;
    "expect$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/expect" ;;
    "adopt$tab"*) adopt=${1#*"$tab"} ;;
    "timeout$tab"*) timeout=${1#*"$tab"} ;;
    *) fail "the bundle has a line that this version does not know: $1" ;;
    esac
}

# Conditions of files. A unit refers to the flags' variable by itself, or a drop-in of ours makes it do so.
hook_condition() {
    case $1 in
    systemd) [ "$(init_system)" = systemd ] ;;
    service) [ "$(init_system)" != systemd ] ;;
    default | sysconfig) [ "$(flags_file)" = "/etc/$1/docker" ] ;;
    conflict) has_entry "$state/manifest" "file $(flags_file)" || [ -n "$(flags_in_conflict)" ] ;;
    no-options) ! unit_has_options ;;
    before-18.09) is_engine_before 18 9 ;;
    *) fail "the bundle has a condition that this version does not know: $1" ;;
    esac
}

unit_has_options() {
    has_entry "$state/manifest" "file $drop_ins/berth-options.conf" && return 1
    systemctl cat docker.service 2>/dev/null | grep -qE '^ExecStart=.*\$\{?(DOCKER_OPTS|OPTIONS)\}?'
}

is_engine_before() {
    dockerd --version 2>/dev/null | sed -n 's/^Docker version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | {
        read -r major minor && { [ "$major" -lt "$1" ] || { [ "$major" -eq "$1" ] && [ "$minor" -lt "$2" ]; }; }
    }
}

# Flags of the running dockerd that daemon.json is to set: an engine that finds a setting in both places does not start.
flags_in_conflict() {
    pid=$(cat /var/run/docker.pid 2>/dev/null) && [ -r "/proc/$pid/cmdline" ] || return 0
    top_level_keys "$daemon_json.berth-new" | while IFS= read -r key; do
        case $key in *ies) flag=${key%ies}y ;; *) flag=${key%s} ;; esac
        tr '\0' '\n' <"/proc/$pid/cmdline" | grep -xE -- "--($key|$flag)(=.*)?" | sed 's/=.*//' | head -n 1
    done | paste -sd ' ' -
}

refuse_conflicts() {
    [ "$adopt" = no ] || return 0
    flags=$(flags_in_conflict)
    [ -z "$flags" ] ||
        fail "dockerd was started with $flags, which daemon.json is to set, and refuses both." \
            "Remove the flags (see $(flags_file) and the unit), or set berth:docker.adopt to true: $(flags_file) is then" \
            "Berth's, and comes back on destroy; flags that are to stay go to berth:docker.options"
}

# The names of a JSON object's own keys, one a line.
top_level_keys() {
    tr '\n\r\t' '   ' <"$1" | awk '{
        depth = 0; text = ""; inside = 0; last = ""
        for (i = 1; i <= length($0); i++) {
            c = substr($0, i, 1)
            if (inside) {
                if (c == "\\") { text = text c substr($0, ++i, 1); continue }
                if (c == "\"") { inside = 0; last = text; continue }
                text = text c
            } else if (c == "\"") { inside = 1; text = "" }
            else if (c == "{" || c == "[") depth++
            else if (c == "}" || c == "]") depth--
            else if (c == ":" && depth == 1) print last
        }
    }'
}

docker_answers() { docker info >/dev/null 2>&1; }
wait_for_docker() { wait_for "$timeout" docker_answers; }

refuse_foreign_keys() {
    [ "$adopt" = no ] && [ -s "$daemon_json" ] || return 0
    has_entry "$state/manifest" "file $daemon_json" && return 0
    top_level_keys "$daemon_json" >"$work/theirs"
    top_level_keys "$daemon_json.berth-new" >"$work/ours"
    foreign=$(grep -vxF -f "$work/ours" "$work/theirs" | paste -sd ' ' - || :)
    [ -z "$foreign" ] ||
        fail "$daemon_json holds keys that Berth would drop: $foreign. Set them under berth:docker.extra, or set" \
            "berth:docker.adopt to true to replace the file (it comes back on destroy)"
}

# Containers that are not ours and reach each other over the default bridge would fall silent.
refuse_to_part_containers() {
    grep -q '^  "icc": false,*$' "$daemon_json.berth-new" || return 0
    option='{{index .Options "com.docker.network.bridge.enable_icc"}}'
    [ "$(docker network inspect --format "$option" bridge 2>/dev/null)" != false ] || return 0
    docker ps --filter network=bridge --format '{{.Label "berth.stack"}} {{.Names}}' | sed -n 's/^ //p' >"$work/neighbours"
    [ "$(wc -l <"$work/neighbours")" -lt 2 ] ||
        fail "these containers are on Docker's default bridge and could no longer reach each other:" \
            "$(paste -sd ' ' "$work/neighbours"). Give them a network of their own (docker network create), or set berth:docker.icc to true"
}

# What somebody did to the unit by hand: stopped it, or changed its files and left systemd with the old ones.
repair_unit() {
    [ -d /run/systemd/system ] || return 0
    [ "$(systemctl show docker.service --property=NeedDaemonReload --value)" != yes ] || systemctl daemon-reload
    systemctl is-active --quiet docker.service || systemctl start docker.service || :
}

# In a swarm dockerd takes live-restore over without a word, and does not start with it the next time. A node that has
# lost its role in Berth's swarm is out of it already, as the others see it.
leave_swarm_for_live_restore() {
    grep -qxF -- "{{.LiveRestoreEnabled}}${tab}true" "$work/expect" || return 0
    [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" != inactive ] || return 0
    [ -s "$(docker info --format '{{.DockerRootDir}}')/swarm/berth" ] ||
        fail 'this node is in a swarm that Berth did not make, in which containers cannot be kept over a restart of' \
            'dockerd: set berth:docker.liveRestore to false, or take the node out of it (docker swarm leave)'
    docker swarm leave --force >/dev/null
}

# A restarted manager counts again once it hears the leader; until then the next one's restart could cost the majority.
swarm_is_back() {
    [ "$(docker info --format '{{.Swarm.ControlAvailable}}')" != true ] || docker node ls >/dev/null 2>&1
}

hook_before_change() {
    : >>"$work/keys"
    : >>"$work/expect"
    command -v docker >/dev/null 2>&1 || fail 'Docker is not installed on this node; install it, then run again'
    if grep -qxF -- "$daemon_json" "$work/changed"; then
        refuse_foreign_keys
        refuse_conflicts
        if dockerd --help 2>&1 | grep -q -- --validate; then
            dockerd --validate --config-file "$daemon_json.berth-new" >"$work/validate" 2>&1 ||
                fail "dockerd refuses the new settings, the old ones stay in force: $(tail -n 1 "$work/validate")"
        fi
    fi
    repair_unit
    wait_for_docker || fail "dockerd does not answer on this node, before anything was changed; see $(docker_log)"
    ! grep -qxF -- "$daemon_json" "$work/changed" || refuse_to_part_containers
    leave_swarm_for_live_restore
    docker ps -q --no-trunc >"$work/running"
    # Of ours it is enough that they run: the steps that wait for them ask better questions than their health checks.
    docker ps --no-trunc --filter health=healthy --format '{{.ID}} {{.Label "berth.service"}}' |
        sed -n 's/ $//p' >"$work/healthy"
}

# The least that puts the changed keys into force: nothing, reload or restart.
force_of_change() {
    [ -f "$state/keys" ] || : >"$state/keys"
    LC_ALL=C sort "$work/keys" >"$work/keys.sorted"
    LC_ALL=C sort "$state/keys" >"$work/keys.before"
    {
        LC_ALL=C comm -3 "$work/keys.before" "$work/keys.sorted" | sed "s/^$tab//"
        [ ! -f "$state/pending" ] || cat "$state/pending"
    } >"$work/keys.changed"
    # dockerd keeps the value of a key that vanishes from the file until it is restarted.
    cut -f 1 "$work/keys.sorted" >"$work/names"
    vanished=$(cut -f 1 "$work/keys.before" | grep -vxF -f "$work/names" || :)
    if [ -n "$vanished" ] || grep -q "${tab}restart$tab" "$work/keys.changed"; then
        printf restart
    elif [ -s "$work/keys.changed" ]; then
        printf reload
    else
        printf nothing
    fi
}

disagreements() {
    while IFS= read -r expectation; do
        format=${expectation%%"$tab"*}
        wanted=${expectation#*"$tab"}
        found=$(docker info --format "$format" 2>/dev/null) || found='(no answer)'
        [ "$found" = "$wanted" ] || printf 'docker info %s is "%s" instead of "%s"\n' "$format" "$found" "$wanted"
    done <"$work/expect"
}

agrees() {
    differs=$(disagreements | paste -sd ';' -)
    [ -z "$differs" ]
}

# A reload is done in the background: what still differs after three seconds.
disagreements_that_stay() { wait_for 3 agrees || printf '%s' "$differs"; }

docker_log() { if [ "$(init_system)" = systemd ]; then printf 'journalctl -u docker'; else printf '/var/log/docker.log'; fi; }

restart_docker() {
    if [ "$(init_system)" = systemd ]; then
        systemctl daemon-reload
        # A unit that failed too often in a row refuses to start until that is forgotten.
        systemctl reset-failed docker.service docker.socket 2>/dev/null || :
        timeout "$timeout" systemctl restart docker.service >/dev/null 2>&1 && wait_for_docker
    else
        # An init script that finds nothing to stop need not go on to start.
        { timeout "$timeout" service docker restart || timeout "$timeout" service docker start; } >/dev/null 2>&1 &&
            wait_for_docker
    fi
}

reload_docker() {
    if [ "$(init_system)" = systemd ]; then
        systemctl reload docker.service
    else
        # Debian's init script knows no reload, upstart's job neither.
        kill -HUP "$(cat /var/run/docker.pid)"
    fi
}

containers_are_back() {
    while IFS= read -r id; do
        policy=$(docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$id" 2>/dev/null) || continue
        case $policy in always | unless-stopped) ;; *) continue ;; esac
        wanted=true
        ! grep -qxF -- "$id" "$work/healthy" || wanted='true healthy'
        docker inspect --format '{{.State.Running}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$id" |
            grep -q "^$wanted" || return 1
    done <"$work/running"
}

# A dockerd that fails at its start unmounts the root file systems of containers that outlived the one before, and the
# next one removes where they were (moby issue 47408): such a container runs on, but nothing can be executed in it.
containers_without_root() {
    pid=$(cat /var/run/docker.pid 2>/dev/null) || return 0
    format="{{.Name}}$tab{{.GraphDriver.Data.MergedDir}}$tab{{index .Config.Labels \"berth.service\"}}"
    # shellcheck disable=SC2046  # ids are words
    docker inspect --format "$format" $(docker ps --quiet) 2>/dev/null |
        while IFS=$tab read -r name root service; do
            # Other storage drivers have no such directory.
            case $root in /*) [ -d "/proc/$pid/root$root" ] || printf '%s\t%s\n' "${name#/}" "$service" ;; esac
        done
}

# Berth's own are stopped and started, which `docker restart` is not enough for, if the store keeps its quorum
# without this node for as long; the others are named.
mount_roots_again() {
    containers_without_root >"$work/rootless"
    [ -s "$work/rootless" ] || return 0
    left='' quorum=yes
    quorum_without_this_node "$timeout" >/dev/null || quorum=no
    while IFS=$tab read -r name service; do
        { [ -n "$service" ] && [ "$quorum" = yes ] && docker stop "$name" && docker start "$name"; } >/dev/null || left="$left $name"
    done <"$work/rootless"
    [ -z "$left" ] ||
        printf '%s%s. %s' 'these containers run without their root file system, and docker exec and health checks fail in them:' \
            "$left" 'Stop and start each (docker stop, docker start; docker restart is not enough)'
}

# Over its restart, with the settings that it has and with those that it gets.
keeps_containers() {
    [ "$(docker info --format '{{.LiveRestoreEnabled}}')" = true ] && grep -qxF -- "{{.LiveRestoreEnabled}}${tab}true" "$work/expect"
}

# The server of the node before this one may not be back yet: with two away the store takes no writes.
keep_store_quorum() {
    against=$(quorum_without_this_node "$timeout") || {
        rm -f -- "$state/pending"
        undo_change
        fail "dockerd is not restarted, for that ends this node's server of the object store, which would cost" \
            "the store its write quorum: $against. Repair the store first (berth status); the old settings were put back"
    }
}

put_old_settings_back() {
    rm -f -- "$state/pending"
    undo_change
    restart_docker || fail "$1; the old settings were put back, but dockerd still does not answer: see $(docker_log)"
    rootless=$(mount_roots_again)
    fail "$1; the old settings were put back and dockerd answers again${rootless:+; $rootless}"
}

hook_after_change() {
    force=$(force_of_change)
    # A file repaired after somebody's edit has no changed key, yet the daemon may run with the edit.
    if [ "$force" = nothing ] && [ -n "$(disagreements)" ]; then
        reload_docker
        force=reloaded
        [ -z "$(disagreements_that_stay)" ] || force=restart
    fi
    # What is read only at the start, and has no key of its own where conditions decide about it.
    for file in "$(flags_file)" "$drop_ins/berth-options.conf" "$drop_ins/berth-mounts.conf"; do
        ! is_changed "$file" || force=restart
    done
    # What is owed survives a kill between the files and the daemon.
    cp -- "$work/keys.changed" "$state/pending"
    case $force in
    restart)
        keeps_containers || keep_store_quorum
        restart_docker || put_old_settings_back "dockerd did not come back within $timeout s with the new settings"
        ;;
    reload) reload_docker || put_old_settings_back 'dockerd refused to reload its settings' ;;
    esac
    if [ "$force" != nothing ]; then
        differs=$(disagreements_that_stay)
        [ -z "$differs" ] || put_old_settings_back "dockerd does not follow the new settings: $differs"
        wait_for "$timeout" containers_are_back || fail "not every container came back after the $force of dockerd: see docker ps -a"
        wait_for "$timeout" swarm_is_back ||
            fail "this manager of the swarm does not hear its leader $timeout s after the $force of dockerd: see" \
                "docker node ls on the others"
        changed=yes
    fi
    mv -f -- "$work/keys.sorted" "$state/keys"
    rm -f -- "$state/pending"
    rootless=$(mount_roots_again)
    [ -z "$rootless" ] || log "$rootless"
    log "docker: $force"
}

hook_after_remove() {
    [ "$(init_system)" != systemd ] || systemctl daemon-reload
    if [ -f "$state/keys" ] && grep -q "${tab}restart$tab" "$state/keys"; then
        restart_docker ||
            fail 'dockerd did not come back after its original settings were restored: see journalctl -u docker or /var/log/docker.log'
    else
        reload_docker || :
    fi
}
