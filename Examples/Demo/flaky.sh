#!/bin/sh
# A tool that fails after a few seconds, by a signal or with an exit code.
sleep 4
echo "out of memory, or so it says" >&2
if [ $(($(date +%s) % 2)) -eq 0 ]; then kill -KILL $$; fi
exit 3
