/* sim.h - what would happen: the decisions of placement/ over files, in virtual time */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "sim/goodput.h"
#include "sim/pack.h"
#include "sim/queue.h"
#include "sim/turnover.h"
#include "sim/what-if.h"

#endif
