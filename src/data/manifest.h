/* manifest.h - limits of a tree, shared by the files of this folder */
#ifndef DATA_MANIFEST_H
#define DATA_MANIFEST_H

#include "data/data.h"

#define MANIFEST_PATH_MAX    4095
#define MANIFEST_NAME_MAX    255
#define MANIFEST_ENTRIES_MAX 1000000
#define MANIFEST_BYTES_MAX   (INT64_C(1) << 60)

#endif
