#!/bin/sh
# After a restart a server asks Slurm for the list of its jobs. A stop that came before the list was there, or that the
# server before had been asked for, was forgotten when the number of the job had been written down: a job that waited in
# Slurm waited on, and `berth stop --wait` with it.
test_description='a job that is stopped before Slurm has said what became of it is stopped'
. "$(dirname "$0")/../system/lib.sh"
. "$BERTH_SOURCE/tests/system/cluster.sh"

# A list of our jobs takes as long as $BERTH_TEST/closed is there.
BERTH_SLURM_BIN=$BERTH_TEST/bin
export BERTH_SLURM_BIN
mkdir "$BERTH_SLURM_BIN"
for program in sbatch scancel scontrol; do
    ln -s "$(command -v "$program")" "$BERTH_SLURM_BIN"
done
cat >"$BERTH_SLURM_BIN/squeue" <<END
#!/bin/sh
case "\$*" in *'-t all'*) while [ -e $BERTH_TEST/closed ]; do sleep 0.05; done ;; esac
exec $(command -v squeue) "\$@"
END
chmod +x "$BERTH_SLURM_BIN/squeue"

test_expect_success 'a cluster starts' 'slurm_start 1 4'
berth_start_on_slurm

test_expect_success 'two jobs wait in Slurm' '
    scontrol update PartitionName=main State=DOWN &&
    submit first -- true && submit second -- true &&
    await 30 because first "waits in Slurm" && await 30 because second "waits in Slurm"
'
test_expect_success 'one is stopped before a new server has a list, one before the server after that' '
    : >"$BERTH_TEST/closed" && berth_kill && berth_server && berth stop first &&
    berth_kill && berth_server && berth stop second && test_must_fail is_in_state second stopped &&
    rm "$BERTH_TEST/closed" &&
    await 30 is_in_state first stopped && await 30 is_in_state second stopped &&
    await 30 sh -c "! squeue -h -t PD -o %i | grep ."
'
test_done
