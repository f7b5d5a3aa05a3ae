#!/bin/sh
test_description='jobs wait in thought, as they would: a queue is replayed'
. "$(dirname "$0")/lib.sh"

traces=${BERTH_DATA:-$BERTH_SOURCE/../shared/data}/traces

cat >jobs.csv <<'END'
timestamp,duration,num_gpus
2017-10-02 00:00:00,7200.0,4
2017-10-02 01:30:00,600.0,2
2017-10-02 01:30:10,600.0,8
END
queue() {
    case " $* " in *" --nodes "*) ;; *) set -- --nodes 1x4 "$@" ;; esac
    berth simulate queue --jobs jobs.csv "$@"
}

test_expect_success 'a job in the way is stopped for one that had less, and goes on' '
    sed -i 3q jobs.csv && queue --out waits.csv >said && cat >want <<-\END &&
	line,wait_s,duration_s,gpus,preemptions
	2,660,7200,4,1
	3,0,600,2,0
	END
    test_cmp want waits.csv && grep "^preemptions        1$" said
'
test_expect_success 'or the one that comes later waits' '
    queue --not-preemptible --out waits.csv >/dev/null && grep "^2,0,7200,4,0$" waits.csv && grep "^3,1800,600,2,0$" waits.csv &&
    queue --policy fifo -o json | jq -e ".policy == \"fifo\" and .jobs == 2 and .preemptions == 0 and .wait_mean == 900"
'
test_expect_success 'whose jobs they are, what they declare and who may be stopped' '
    cat >jobs.csv <<-\END &&
	timestamp,duration,num_gpus,project,user,priority,limit,preemptible
	2017-10-02 00:00:00,7200,4,a,ada,,,no
	2017-10-02 01:30:00,600,3,b,bob,0,300,
	2017-10-02 01:30:10,600,3,b,cy,5,,yes
	END
    queue --out waits.csv >said && cat >want <<-\END &&
	line,wait_s,duration_s,gpus,preemptions
	2,0,7200,4,0
	3,2400,300,3,0
	4,1790,600,3,0
	END
    test_cmp want waits.csv && grep "^ended at limit     1$" said && grep "^b/cy  *1  *1  *0  *1790 s  *1790 s$" said &&
    queue -o json | jq -e ".groups | map(select(.group == \"b\")) == [{group: \"b\", weight: 1, jobs: 2, gpu_seconds: 2700, wait_mean: 2095, wait_max: 2400}]" &&
    sed -i s/yes/maybe/ jobs.csv && test_expect_code 1 queue 2>said && grep "jobs.csv:4: preemptible is .maybe., expected yes or no" said
'
test_expect_success 'who has had less by weight goes first' '
    cat >jobs.csv <<-\END &&
	timestamp,duration,num_gpus,project
	2017-10-02 00:00:00,3600,4,a
	2017-10-02 00:00:01,3600,4,a
	2017-10-02 00:00:02,3600,4,b
	END
    queue --policy fair --not-preemptible --out waits.csv >/dev/null && sed -n "3s/,3600.*//p;4s/,3600.*//p" waits.csv >got &&
    printf "3,7199\n4,3598\n" >want && test_cmp want got &&
    queue --policy fair --weights a=1,b=3 -o json | jq -e "(.groups | map(.weight)) == [1, 3]" &&
    test_expect_code 1 queue --weights c=2 2>said && grep "^berth: --weights: no job is of .c.$" said &&
    test_expect_code 2 queue --weights a=0 2>said && grep "is not GROUP=WEIGHT with a whole number from 1 to 10000" said
'
test_expect_success 'what is booked is there in time, and who may be stopped leaves it' '
    cat >jobs.csv <<-\END &&
	timestamp,duration,num_gpus
	2017-10-02 00:00:00,7200,4
	END
    booking=group=c,gpus=2,from=2017-10-02T01:00:00Z,for=1h &&
    queue --booking $booking -o json | jq -e ".bookings[0] as \$b | \$b.state == \"honoured\" and \$b.late == 0 and \$b.machines == 1
        and .preemptions == 1 and .wait_mean == 3960 and .without_bookings.wait_mean == 0" &&
    queue --not-preemptible --booking $booking,made=2017-10-02T00:30:00Z >said && grep "refused: gpus: 0 of 4 that would do are free then" said &&
    test_expect_code 2 queue --booking group=c,gpu=2 2>said && grep -- "--booking: .gpu=2.: must be group=NAME, gpus=N or nodes=N" said &&
    test_expect_code 2 queue --booking group=c,gpus=2 2>said && grep "needs group, gpus or nodes, from, and until or for" said
'
test_expect_success 'who fails over and over comes back later each time, and no more than two are stopped for it' '
    { echo "timestamp,duration,num_gpus,crashes,crash_after" &&
      for i in 1 2 3 4; do echo "2017-10-02 00:00:00,86400,1,,"; done && echo "2017-10-02 02:00:00,600,2,50,30"; } >jobs.csv &&
    queue --out waits.csv >said && grep "^crashes            50, of 1 jobs; stopped for one of them: 0 at most$" said &&
    grep "^preemptions        2$" said && queue --backoff 1h -o json >late &&
    jq -e ".crashes == 50 and .crash_loops == 1 and .stopped_for_a_crash_loop_max <= 2 and .wait_max > 49 * 3600" late &&
    sed -i s/,30$/,/ jobs.csv && test_expect_code 1 queue 2>said && grep "jobs.csv:6: crash_after is .., expected seconds, for a job that crashes" said
'
test_expect_success 'machines come from a table, and from the hardware of a fleet' '
    cat >nodes.csv <<-\END &&
	sn,cpu_milli,memory_mib,gpu,model
	a,8000,32768,2,T4
	b,16000,65536,4,A10
	c,16000,65536,4,A10
	END
    cat >fleet.json <<-\END &&
	{ "machines": { "t4": { "numas": [{ "id": 0, "cpus": "0-7", "memory": "32Gi" }], "gpus": [{ "model": "T4" }, { "model": "T4" }] },
	    "a10": { "like": "t4", "gpus": [{ "model": "A10" }, { "model": "A10" }, { "model": "A10" }, { "model": "A10" }] } },
	  "nodes": [{ "name": "a", "machine": "t4" }, { "name": "b[1-2]", "machine": "a10" }, { "name": "d", "machine": "a10", "cordoned": true }] }
	END
    printf "timestamp,duration,num_gpus\n2017-10-02 00:00:00,600,2\n2017-10-02 00:00:00,60,8\n" >jobs.csv &&
    for nodes in nodes.csv fleet.json 2x4,1x2; do
        queue --nodes $nodes --policy fifo --out waits.csv >/dev/null && cat waits.csv &&
        grep "^2,0,600,2,0$" waits.csv && grep "^3,0,60,8,0$" waits.csv || return 1
    done &&
    echo "2017-10-02 00:00:00,60,11" >>jobs.csv && test_expect_code 1 queue --nodes fleet.json 2>said &&
    grep "jobs.csv:4: num_gpus is .11., expected no more than all machines have" said &&
    sed -i "s/65536,4/65536,x/" nodes.csv && test_expect_code 1 queue --nodes nodes.csv 2>said &&
    grep "nodes.csv:3: gpu is .x., expected a whole number from 0 to 16" said &&
    test_expect_code 1 queue --nodes nowhere.csv 2>said && grep "nowhere.csv: cannot be read: No such file" said
'
test_expect_success 'what is wrong is named' '
    printf "timestamp,duration,num_gpus\n2017-10-02 01:30:10,600.0,8\n" >jobs.csv && test_expect_code 1 queue 2>said &&
    grep "^berth: jobs.csv:2: num_gpus is .8., expected no more than all machines have$" said &&
    printf "timestamp,duration,num_gpus\nyesterday,600.0,1\n" >jobs.csv && test_expect_code 1 queue 2>said &&
    grep "jobs.csv:2: timestamp is .yesterday., expected a time such as 2017-10-09 07:01:55" said &&
    printf "timestamp,duration,num_gpus\n2017-10-02 01:30:10,-3,1\n" >jobs.csv && test_expect_code 1 queue 2>said &&
    grep "jobs.csv:2: duration is .-3., expected seconds, at most ten years" said &&
    test_expect_code 2 berth simulate queue --jobs jobs.csv && test_expect_code 2 queue --nodes 80 && test_expect_code 2 queue --policy luck &&
    test_expect_code 2 queue --depth 0
'

[ -r "$traces/philly_jobs.csv" ] && test_set_prereq TRACES
# waits MOST_MEAN MOST_P99 MOST_STOPPED FLAG...: of the published trace on 80 machines of 8 GPUs
waits() {
    local mean=$1 p99=$2 stopped=$3
    shift 3
    berth simulate queue --jobs "$traces/philly_jobs.csv" --nodes 80x8 --from 2017-10-02 --days 30 -o json "$@" >figures && cat figures &&
    jq -e --argjson mean "$mean" --argjson p99 "$p99" --argjson stopped "$stopped" \
        ".jobs == 46921 and .wait_mean <= \$mean and .wait_p99 <= \$p99 and .preemptions <= \$stopped" figures
}
test_expect_success TRACES 'preemptible work waits less than by least attained service as published: 690 s' 'waits 600 6800 20000'
test_expect_success TRACES 'without preemption no longer than by first fit: 2,288 s' 'waits 2288 35100 0 --policy skip --not-preemptible'

test_done
