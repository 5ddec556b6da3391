#!/bin/sh
# Metrics without an agent that listens: judge what is new, do one full and one sample run, and leave the metrics where
# node_exporter's textfile collector finds them. From a crontab:
#
#   */15 * * * * flock -n /run/lock/auditwatch.lock /opt/auditwatch/examples/node_exporter_textfile.sh /var/log/trading/audit_trail.jsonl
#
# The state directory makes it a history: what was known before is not found again, and unchanged blocks are hashed and
# not parsed. The file appears whole or not at all. If it stops changing, node_textfile_mtime_seconds says so.
set -u
umask 022 # node_exporter is another user and has to read the file

AUDITWATCH=${AUDITWATCH:-auditwatch}
STATE=${STATE:-/var/lib/auditwatch-once}
TEXTFILES=${TEXTFILES:-/var/lib/prometheus/node-exporter}

"$AUDITWATCH" run --once --log.level warning --state-dir "$STATE" --metrics-file "$TEXTFILES/auditwatch.prom" "$@" >/dev/null
status=$?
# Damage (1) is in the metrics, and the alerts look there; cron need not hear of it. It should hear of 2 and 3.
[ "$status" -eq 1 ] && status=0
exit "$status"
