#!/bin/sh
# Plays the life of the Debian package, from the first installation to the last purge, on a machine that is there for
# nothing else: a virtual machine or a container with systemd, as root, with two versions of the package.
#
#   sh tests/package.sh OLD.deb NEW.deb          all phases, in their order
#   sh tests/package.sh OLD.deb NEW.deb phases   their names
#   sh tests/package.sh OLD.deb NEW.deb upgrade  one of them
#
# It ends at the first thing that is not as it should be, and says which.
set -eu

old=$1
new=$2
phases="install use watchdog sandbox reload backup upgrade restart stop failed byhand remove again purge marker reset"

key=/etc/enrolld/enrolld.key
toml=/etc/enrolld/enrolld.toml
registry=/var/lib/enrolld
sock=/run/enrolld/enrolld.sock
work=/tmp/enrolld-package
mkdir -p "$work"

fail() {
    echo "package.sh: $phase: $*" >&2
    journalctl --no-pager -n 30 -u 'enrolld*' >&2 || true
    exit 1
}

# A command that must succeed.
must() { "$@" >"$work/out" 2>&1 || fail "$* failed: $(cat "$work/out")"; }

# A command that must fail.
must_not() { if "$@" >"$work/out" 2>&1; then fail "$* succeeded: $(cat "$work/out")"; fi; }

# What the last command printed has this text.
said() { grep -q -e "$1" "$work/out" || fail "no \"$1\" in: $(cat "$work/out")"; }

# Tries a command until it succeeds, for so many seconds at most.
within() {
    seconds=$1
    shift
    until "$@" >"$work/out" 2>&1; do
        seconds=$((seconds - 1))
        [ "$seconds" -gt 0 ] || fail "$* does not succeed: $(cat "$work/out")"
        sleep 1
    done
}

main_pid() { systemctl show --property MainPID --value enrolld.service; }

# dpkg with nobody to answer a question.
package() { must env DEBIAN_FRONTEND=noninteractive dpkg "$@" </dev/null; }

# Clients that call one after the other until the file says that it is over; each that is refused is written down.
call_on() {
    rm -f "$work/over" "$work/refused" "$work/calls"
    (
        calls=0
        echo 0 >"$work/calls"
        while [ ! -e "$work/over" ]; do
            calls=$((calls + 1))
            printf '%s %s' "$1" "$calls" | enrollctl token use >/dev/null 2>>"$work/refused" || echo "$calls" >>"$work/refused"
            echo "$calls" >"$work/calls"
        done
    ) &
    caller=$!
    calls_go_on
}

# Waits until some more were answered.
calls_go_on() {
    within 10 test -s "$work/calls"
    within 30 sh -c "[ \"\$(cat '$work/calls')\" -gt $(($(cat "$work/calls") + 5)) ]"
}

# Ends them: none was refused.
nobody_refused() {
    calls_go_on
    : >"$work/over"
    wait "$caller"
    [ ! -s "$work/refused" ] || fail "refused: $(cat "$work/refused")"
}

serves() {
    must systemctl is-active enrolld.socket enrolld.service
    must enrollctl server check
}

is_whole() {
    serves
    must enrollctl person get BOSS
    [ "$(cksum <$key)" = "$(cat "$work/key")" ] || fail "another key"
}

user_stays() { must getent passwd enrolld; }

play_install() {
    must_not getent passwd enrolld
    package -i "$old"
    said "Next, make an administrator"
    said "sudo enrollctl person create"
    said "sudo usermod"
    said "The secret key is $key. Keep a copy"
    user_stays
    [ "$(stat -c '%U %a' $key)" = "root 600" ] || fail "the key is of $(stat -c '%U %a' $key)"
    [ ! -e $registry/enrolld.key ] || fail "a second key"
    must dpkg-query --show --showformat '${Conffiles}' enrolld
    said "$toml"
    must systemctl is-enabled enrolld.socket enrolld.service
    must_not systemctl is-enabled enrolld-backup.timer
    serves
    must enrollctl server status --json
    if grep -q '"topic":"registry"' "$work/out"; then fail "a new registry under a new key is no warning"; fi
    within 10 sh -c "journalctl --no-pager -u enrolld-key.service | grep 'keep a copy in another place'"
    cksum <$key >"$work/key"
}

play_use() {
    must enrollctl person create BOSS --role superuser
    must enrollctl pool create --owner BOSS --invitecode SPRING2027
    must_not runuser -u nobody -- enrollctl server status
    id member >/dev/null 2>&1 || must useradd member
    must usermod --append --groups enrolld member
    must runuser -u member -- enrollctl enrollment create CAT02b --pool SPRING2027
    must enrollctl enrollment approve CAT02b
    must runuser -u member -- enrollctl person get CAT02b
}

# A daemon that stands still is ended and started again. The times are shorter here than in the unit.
play_watchdog() {
    drop_in=/run/systemd/system/enrolld.service.d
    mkdir -p $drop_in
    printf '[Service]\nWatchdogSec=2\nTimeoutStopSec=2\nRestartSec=0\n' >$drop_in/watchdog.conf
    must systemctl daemon-reload
    must systemctl restart enrolld.service
    before=$(main_pid)
    kill -STOP "$before"
    within 30 sh -c "[ \"\$(systemctl show --property NRestarts --value enrolld.service)\" -gt 0 ]"
    within 30 systemctl is-active enrolld.service
    [ "$(main_pid)" != "$before" ] || fail "the same process"
    rm -r $drop_in
    must systemctl daemon-reload
    must systemctl reset-failed enrolld.service
    must systemctl restart enrolld.service
    is_whole
}

play_sandbox() {
    must systemd-analyze security --no-pager --threshold=8 enrolld.service
    status=/proc/$(main_pid)/status
    must grep -q '^CapEff:[[:space:]]*0000000000000000$' "$status"
    must grep -q '^NoNewPrivs:[[:space:]]*1$' "$status"
    must sh -c "tr '\\0' '\\n' </proc/$(main_pid)/environ | grep '^CREDENTIALS_DIRECTORY='"
    [ -z "$(find $registry ! -user enrolld -o -perm /077)" ] || fail "files of others, or open to others"
}

play_reload() {
    printf '\n[server]\nidle_seconds = 500\n' >>$toml
    must systemctl reload enrolld.service
    within 10 sh -c "journalctl --no-pager -u enrolld.service | grep 'server.idle_seconds is now 500'"
    is_whole
}

play_backup() {
    must_not systemctl start enrolld-backup.service
    within 10 sh -c "journalctl --no-pager -u enrolld-backup.service | grep 'set directory in .backup.'"
    printf '\n[backup]\ndirectory = "/var/backups/enrolld"\n' >>$toml
    must systemctl reload enrolld.service
    must systemctl start enrolld-backup.service
    must systemctl start enrolld-backup.service
    [ "$(find /var/backups/enrolld -name '*.backup' | wc -l)" = 1 ] || fail "not one backup: $(ls -la /var/backups/enrolld)"
    must enrolld restore --check "$(find /var/backups/enrolld -name '*.backup')"
    said "the right one"
    must enrollctl server status --json
    said '"last_backup":"20'
    must systemctl enable --now enrolld-backup.timer
    must systemctl is-active enrolld-backup.timer
}

# An upgrade restarts the daemon and not the socket, asks nothing about a changed configuration, and refuses nobody.
play_upgrade() {
    before=$(main_pid)
    opened=$(systemctl show --property ActiveEnterTimestampMonotonic --value enrolld.socket)
    call_on upgrade
    package -i "$new"
    within 30 systemctl is-active enrolld.service
    must enrollctl server status
    nobody_refused
    [ "$(main_pid)" != "$before" ] || fail "the daemon was not restarted"
    [ "$(systemctl show --property ActiveEnterTimestampMonotonic --value enrolld.socket)" = "$opened" ] ||
        fail "the socket was restarted"
    must grep -q 'idle_seconds = 500' $toml
    is_whole
    # A daemon that somebody has stopped stays so.
    must systemctl stop enrolld.socket enrolld.service
    package -i "$new"
    must_not systemctl is-active enrolld.socket
    must_not systemctl is-active enrolld.service
    must systemctl start enrolld.socket enrolld.service
}

play_restart() {
    call_on restart
    for _ in 1 2 3; do
        must systemctl restart enrolld.service
        calls_go_on
    done
    nobody_refused
    must systemctl reset-failed enrolld.service
    is_whole
}

play_stop() {
    must systemctl stop enrolld.socket enrolld.service
    [ ! -e $sock ] || fail "the socket is still there"
    must_not enrollctl server status
    must systemctl start enrolld.socket
    # The first connection starts the daemon.
    must enrollctl server status
    is_whole
}

# A daemon that can not start stays down, with its socket closed, until somebody has looked.
play_failed() {
    echo 'sokcet = 1' >>$toml
    must_not systemctl restart enrolld.service
    within 10 sh -c '! systemctl is-active enrolld.socket'
    starts=$(systemctl show --property NRestarts --value enrolld.service)
    must_not enrollctl server status
    must_not systemctl is-active enrolld.service
    [ "$(systemctl show --property NRestarts --value enrolld.service)" = "$starts" ] || fail "it was started again"
    must_not enrollctl doctor
    said "sokcet"
    sed -i '/sokcet/d' $toml
    must systemctl start enrolld.socket enrolld.service
    must_not systemctl is-active enrolld-failed.target
    is_whole
    must systemctl mask --now enrolld.socket
    must_not enrollctl doctor
    said "masked_unit"
    must systemctl unmask enrolld.socket
    must systemctl start enrolld.socket enrolld.service
    is_whole
}

# Units of an installation by hand hide those of the package, and are told of.
play_byhand() {
    unit=/etc/systemd/system/enrolld.service
    cp /usr/lib/systemd/system/enrolld.service $unit
    package -i "$new"
    said "$unit is of an installation by hand"
    rm $unit
    must systemctl daemon-reload
    package -i "$new"
    if grep -q "by hand" "$work/out"; then fail "told of a unit that is gone"; fi
    is_whole
}

play_remove() {
    package -r enrolld
    [ ! -e /usr/bin/enrolld ] && [ ! -e $sock ] || fail "something still runs"
    [ -e $toml ] && [ -e $key ] && [ -e $registry/enrolld.redb ] || fail "something is gone"
    must_not systemctl is-active enrolld.socket
    must_not systemctl is-active enrolld.service
    must_not systemctl is-active enrolld-backup.timer
    user_stays
}

# What ran before the removal runs again, timers that were enabled too.
play_again() {
    package -i "$new"
    is_whole
    must systemctl is-active enrolld-backup.timer
    must_not systemctl is-active enrolld-metrics.timer
    must grep -q 'idle_seconds = 500' $toml
}

# A purge removes the configuration, and says where the rest is.
play_purge() {
    package -P enrolld
    said "$registry stays; to remove it for good: rm -r $registry"
    said "$key stays"
    said "/var/backups/enrolld stays"
    [ ! -e $toml ] || fail "the configuration is still there"
    [ -e $key ] && [ -e $registry/enrolld.redb ] || fail "key or registry is gone"
    user_stays
    package -i "$new"
    is_whole
}

play_marker() {
    touch /etc/enrolld/remove-registry-on-purge
    package -P enrolld
    said "the registry and its secret key are removed"
    said "nothing opens the backups in /var/backups/enrolld"
    [ ! -e /etc/enrolld ] && [ ! -e $registry ] || fail "something is left: $(ls -la /etc/enrolld $registry 2>&1)"
    [ -e /var/backups/enrolld ] || fail "the backups are gone"
    user_stays
    package -i "$new"
    serves
    [ "$(cksum <$key)" != "$(cat "$work/key")" ] || fail "the same key"
    must_not enrollctl person get BOSS
}

# A machine of which an image is made has no key and no registry, and makes others at its next start.
play_reset() {
    cksum <$key >"$work/key"
    must systemctl stop enrolld.socket enrolld.service
    must_not sh -c 'echo no | enrolld reset'
    [ -e $key ] || fail "removed without a yes"
    must enrolld reset --yes
    [ ! -e $key ] && [ ! -e $registry/enrolld.redb ] || fail "key or registry is still there"
    must systemctl start enrolld.socket enrolld.service
    serves
    [ "$(cksum <$key)" != "$(cat "$work/key")" ] || fail "the same key"
    must enrollctl person create BOSS
    must systemctl stop enrolld.socket enrolld.service
    must_not enrolld reset --yes
    said "person 1"
    touch /etc/enrolld/remove-registry-on-purge
    package -P enrolld
}

case "${3:-}" in
phases)
    echo "$phases"
    ;;
*)
    for phase in ${3:-$phases}; do
        "play_$phase"
        echo "$phase: as it should be"
    done
    ;;
esac
