#!/bin/sh
# A registration desk: `desk.sh EVENT` reads callsigns, typed or scanned, one a line, and says what each of them has now.
#   CALLSIGN registers, -CALLSIGN cancels, ?CALLSIGN looks up; the end of the input closes the desk.
# Any number of desks may be open for an event. None looks whether a place is free before it gives one away: registering
# is one call, and the daemon gives each place once, or the next position of the waiting list.
set -u
event=${1:?"usage: desk.sh EVENT (a primary key; enrollctl event list shows them)"}
return=$(printf '\r')

enrollctl wait --seconds 10 || exit 3
title=$(enrollctl event get "$event" --field title) || exit 1
echo "$title: CALLSIGN registers, -CALLSIGN cancels, ?CALLSIGN looks up"

while read -r line || [ -n "$line" ]; do
  line=${line%"$return"}
  case $line in
    '' | - | \?) continue ;;
    -*) verb=cancel ;;
    \?*) verb="get" ;;
    *) verb=create ;;
  esac
  callsign=${line#[-?]}
  if answer=$(enrollctl registration "$verb" --field canceled --field waiting --field waiting_position \
    -- "$event" "$callsign" 2>&1); then
    # shellcheck disable=SC2086 # Three words, the last of which may be missing.
    set -- $answer
    case "$1 $2" in
      "true "*) echo "$callsign: canceled" ;;
      *" true") echo "$callsign: waits, position $3" ;;
      *) echo "$callsign: has a place" ;;
    esac
  else
    echo "$callsign: $answer"
  fi
done
