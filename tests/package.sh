#!/bin/sh
# Plays the life of the Debian package, from the first installation to the last purge, on a machine that is there for
# nothing else: a virtual machine or a container with systemd, as root, with two versions of the package.
#
# Beside NEW.deb lies the package of the console, console.deb.
#
#   sh tests/package.sh OLD.deb NEW.deb          all phases, in their order
#   sh tests/package.sh OLD.deb NEW.deb phases   their names
#   sh tests/package.sh OLD.deb NEW.deb upgrade  one of them
#
# It ends at the first thing that is not as it should be, and says which.
set -eu

old=$1
new=$2
console=$(dirname "$new")/console.deb
phases="install use watchdog sandbox reload backup hooks console upgrade restart stop failed byhand remove again purge marker reset"

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

# The hook has passed so many tokens, each once and in order.
hook_passed() {
    within 30 sh -c "[ \"\$(wc -l <$hooked)\" = $1 ]"
    must sort -n -u -c "$hooked"
}

spend() { must sh -c "echo 'of a hook $1' | enrollctl token use"; }

# A hook, as its page installs one: over a stop, a kill, a restart of the daemon; one that fails is told, and passed by hand.
play_hooks() {
    hook=enrolld-changes@notes
    hooked=/var/lib/enrolld-changes/notes/seen
    position=/var/lib/enrolld-changes/notes/position
    cat >/usr/local/bin/note-change <<'END'
#!/bin/sh
cat >/dev/null
[ ! -e /run/notes-fail ] || exit 3
echo "$ENROLLD_CHANGE_SEQ" >>/var/lib/enrolld-changes/notes/seen
END
    chmod 755 /usr/local/bin/note-change
    cat >/etc/enrolld/changes/notes.conf <<'END'
OPTIONS=--from now --if-new --filter area=token
COMMAND=/usr/local/bin/note-change
END
    must systemctl enable --now $hook
    within 10 test -s $position
    for token in 1 2 3; do spend $token; done
    hook_passed 3
    must systemctl stop $hook
    must_not enrollctl doctor
    said "hook_stopped"
    spend 4
    must systemctl start $hook
    hook_passed 4
    must systemctl kill --signal=KILL $hook
    spend 5
    hook_passed 5
    must systemctl restart enrolld.service
    spend 6
    hook_passed 6
    touch /run/notes-fail
    spend 7
    spend 8
    within 30 sh -c 'enrollctl doctor | grep "the hook notes fails at the change"'
    stuck=$(sed -n 's/.*the hook notes fails at the change \([0-9]*\).*/\1/p' "$work/out" | head -n 1)
    must enrollctl changes skip "$stuck" --position $position
    rm /run/notes-fail
    hook_passed 7
    must_not grep -q "^$stuck$" $hooked
    within 10 sh -c '! enrollctl doctor | grep "the hook notes"'
    must systemctl is-active $hook
}

# A page of the console, asked by this user.
get() {
    runuser -u "$1" -- bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf "GET %s HTTP/1.0\r\nHost: 127.0.0.1:%s\r\nCookie: %s\r\n\r\n" "$2" "$1" "$3" >&3
        cat <&3' bash "$port" "$2" "$3" >"$work/out" 2>/dev/null
}

# A tunnel of this user from this port to the page.
tunnel() {
    must ssh -q -f -N -M -S "$work/tunnel.$1" -o ExitOnForwardFailure=yes -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -i "$work/ssh" -p 2222 -L "$2:127.0.0.1:$port" "$1@127.0.0.1"
}

# Through ssh -L the other end is who logged in: the page's user is served on any port, and another user is not.
through_ssh() {
    rm -f "$work/ssh" "$work/ssh.pub"
    ssh-keygen -q -t ed25519 -N '' -f "$work/ssh"
    # A password that nobody has, where a locked account would be turned away.
    usermod -p '*' member
    mkdir -p /run/sshd
    must /usr/sbin/sshd -f /dev/null -o Port=2222 -o ListenAddress=127.0.0.1 -o HostKey="$work/ssh" -o UsePAM=no \
        -o StrictModes=no -o AuthorizedKeysFile="$work/ssh.pub" -o PidFile="$work/sshd.pid"
    tunnel member 9101
    tunnel nobody 9102
    port=9102
    get member "$1" "$2" || true
    [ ! -s "$work/out" ] || fail "the tunnel of another user was answered: $(cat "$work/out")"
    port=9101
    get nobody "$1" "$2"
    said "^HTTP/1.. 200"
    said "Today"
    for user in member nobody; do ssh -q -S "$work/tunnel.$user" -O exit 127.0.0.1; done
    kill "$(cat "$work/sshd.pid")"
    echo "through ssh: as it should be"
}

# The page of the console is for the user who started it alone.
play_console() {
    package -i "$console"
    runuser -u member -- enrollctl console --no-browser >"$work/console" 2>&1 &
    page=$!
    within 20 grep -q 'http://127.0.0.1:' "$work/console"
    address=$(grep -o 'http://127.0.0.1:[^ ]*' "$work/console" | head -n 1)
    port=${address#http://127.0.0.1:}
    path=/${port#*/}
    port=${port%%/*}
    # The kernel tells whose connection it is: with the right code another user has no answer.
    get nobody "$path" "" || true
    [ ! -s "$work/out" ] || fail "another user was answered: $(cat "$work/out")"
    get member "$path" ""
    said "^HTTP/1.. 200"
    cookie=$(sed -n 's/^set-cookie: \([^;]*\);.*/\1/p' "$work/out")
    first=$(sed -n 's/.*<a href="\([^"]*\)">Go on to the console.*/\1/p' "$work/out")
    get nobody "$first" "$cookie" || true
    [ ! -s "$work/out" ] || fail "another user was answered: $(cat "$work/out")"
    get member "$first" "$cookie"
    said "^HTTP/1.. 200"
    said "Today"
    [ ! -x /usr/sbin/sshd ] || through_ssh "$first" "$cookie"
    package -i "$console"
    kill "$page"
    wait "$page" || true
    package -P enrolld-console
    must_not runuser -u member -- enrollctl console --no-browser
    said "apt install enrolld-console"
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
    # The hook runs the new program and goes on behind the last change that it passed.
    must systemctl is-active enrolld-changes@notes
    passed=$(wc -l </var/lib/enrolld-changes/notes/seen)
    spend upgraded
    within 30 sh -c "[ \"\$(wc -l </var/lib/enrolld-changes/notes/seen)\" -gt $passed ]"
    must sort -n -u -c /var/lib/enrolld-changes/notes/seen
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
    must_not systemctl is-active enrolld-changes@notes
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
    [ -e /var/lib/enrolld-changes/notes/position ] || fail "the position of a hook is gone"
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
    # A hook's configuration is the administrator's own, and stays.
    must rm /etc/enrolld/changes/notes.conf
    must rmdir /etc/enrolld/changes /etc/enrolld
    [ ! -e $registry ] || fail "something is left: $(ls -la $registry)"
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
