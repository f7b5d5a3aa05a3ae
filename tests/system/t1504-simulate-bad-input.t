#!/bin/sh
test_description='whatever stands in the files of a simulation, what is wrong is named, and memory does not grow with them'
. "$(dirname "$0")/lib.sh"

printf 'sn,cpu_milli,memory_mib,gpu,model\na,8000,32768,4,T4\n' >nodes.csv
printf 'idx,cpu_milli,memory_mib,num_gpu,gpu_milli\n0,1,1,1,1000\n' >asks.csv
printf 'timestamp,duration,num_gpus\n2017-10-02 00:00:00,60,1\n' >jobs.csv
truncate -s 10G zeros
nodes='sn,cpu_milli,memory_mib,gpu,model' jobs='timestamp,duration,num_gpus' mix='component,count'

# says TEXT WORD...: `berth simulate WORD...` fails and names what is wrong
says() {
    local text=$1
    shift
    test_expect_code 1 berth simulate "$@" 2>said && grep -F -e "$text" said || { cat said; return 1; }
}
# endless HEAD LINE: a table that never ends
endless() { echo "$1" && yes "$2"; }

test_expect_success 'tables and files without end' '
    endless $nodes a,1,1,1,T4 | says "-:3: sn is '\''a'\'', expected a name that no other machine has" pack --nodes - --arrivals asks.csv &&
    { echo $nodes && seq -f "n%.0f,1,1,1,T4" 1 100001; } | says "-:100002: sn is '\''n100001'\'', expected one of at most 100,000 machines" queue --jobs jobs.csv --nodes - &&
    endless $mix GPU,1 | says "-:10002: component is '\''GPU'\'', expected one of at most 10,000 kinds" goodput --nodes 2 --mix - &&
    yes x | tr -d "\n" | says "-:1: longer than 64 KiB" queue --jobs - --nodes 1x4 &&
    { echo $jobs && yes "\"2017-10-02" | tr "\n" " "; } | says "-:2: longer than 64 KiB (a quote that is not closed?)" queue --jobs - --nodes 1x4 &&
    yes x | tr -d "\n" | says "-:1: is longer than 16777216 bytes" replay - &&
    yes "{" | says "-: is larger than 64 MiB" pack --nodes - --arrivals asks.csv
'
test_expect_success 'ten gigabytes of nothing' '
    for words in "pack --nodes zeros --arrivals asks.csv" "pack --nodes nodes.csv --arrivals zeros" "queue --jobs zeros --nodes 1x4" \
                 "queue --jobs jobs.csv --nodes zeros" "goodput --nodes 2 --mix zeros"; do
        says "zeros:1: a byte of value 0 stands in it; a table is text" $words || return 1
    done &&
    says "zeros is larger than 1073741824 bytes" what-if --snapshot zeros && says "zeros:1: is longer than 16777216 bytes" replay zeros
'

# row COLUMNS ROW TEXT WORD...: with that row what is wrong is said
row() {
    local text=$3
    printf "$1\n$2\n" >bad.csv
    shift 3
    says "$text" "$@"
}
test_expect_success 'numbers that are negative, absurd or none' '
    for number in -1 1e9 0x10 99999999999999999999 "" " 1" nan; do
        row $nodes "a,$number,1,1,T4" "bad.csv:2: cpu_milli is '\''$number'\'', expected a whole number from 0 to 4096000" pack --nodes bad.csv --arrivals asks.csv &&
        row $jobs "2017-10-02 00:00:00,60,$number" "bad.csv:2: num_gpus is '\''$number'\'', expected a whole number from 0 to 100000" queue --jobs bad.csv --nodes 1x4 &&
        row $jobs "2017-10-02 00:00:00,$number,1" "bad.csv:2: duration is '\''$number'\'', expected seconds, at most ten years" queue --jobs bad.csv --nodes 1x4 &&
        row $mix "GPU,$number" "bad.csv:2: count is '\''$number'\'', expected a whole number from 0 to 1000000000" goodput --nodes 2 --mix bad.csv || return 1
    done &&
    row $jobs "2017-13-02 00:00:00,60,1" "bad.csv:2: timestamp is '\''2017-13-02 00:00:00'\'', expected a time such as" queue --jobs bad.csv --nodes 1x4 &&
    row $jobs,priority "2017-10-02 00:00:00,60,1,1001" "bad.csv:2: priority is '\''1001'\'', expected a whole number from -1000 to 1000" queue --jobs bad.csv --nodes 1x4 &&
    row $jobs,org "2017-10-02 00:00:00,60,1,a/b" "bad.csv:2: org is '\''a/b'\'', expected a name without" queue --jobs bad.csv --nodes 1x4
'
test_expect_success 'columns that are missing or there twice' '
    for file in nodes:sn,cpu_milli,memory_mib,gpu:model jobs:timestamp,duration:num_gpus mix:component:count; do
        IFS=: read -r what has lacks <<-END &&
	$file
	END
        case $what in
        nodes) set -- pack --nodes bad.csv --arrivals asks.csv ;;
        jobs) set -- queue --jobs bad.csv --nodes 1x4 ;;
        mix) set -- goodput --nodes 2 --mix bad.csv ;;
        esac &&
        row "$has" "1,1,1,1" "bad.csv:1: there is no column $lacks" "$@" &&
        row "$has,$lacks,$lacks" "1,1,1,1" "bad.csv:1: column $lacks is there twice" "$@" || return 1
    done
'
test_expect_success 'hardware that goes round in a circle, or is there twice' '
    for bad in "{\"machines\": {\"a\": {\"like\": \"b\"}, \"b\": {\"like\": \"a\"}}, \"nodes\": [{\"name\": \"n\", \"machine\": \"a\"}]}|like" \
               "{\"machines\": {}, \"nodes\": [{\"name\": \"n\", \"machine\": \"none\"}]}|machine" \
               "{\"machines\": {\"a\": {\"numas\": [{\"id\": 0, \"cpus\": \"0-3\", \"memory\": \"1Gi\"}]}}, \"nodes\": [{\"name\": \"n\", \"machine\": \"a\"}, {\"name\": \"n\", \"machine\": \"a\"}]}|nodes[1].name"; do
        echo "${bad%|*}" >bad.json && says "bad.json:1: " queue --jobs jobs.csv --nodes bad.json && grep -F "${bad##*|}" said || return 1
    done
'

test_done
