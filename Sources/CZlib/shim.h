#pragma once

// Input is not changed.
#define ZLIB_CONST
#include <zlib.h>
