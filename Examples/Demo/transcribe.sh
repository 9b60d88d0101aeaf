#!/bin/sh
# A tool in shell: the mesh is in its environment, so `mesh-events emit` needs no options.
number=0
while true; do
    number=$((number + 1))
    mesh-events emit user.transcript.done "file=meeting-$number.wav" "words=$((number * 137))" --ack >/dev/null || exit 1
    sleep 2
done
