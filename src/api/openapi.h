/* docs/openapi.yaml as it was when this was built (embed.py makes openapi.c). */
#pragma once

#include <stddef.h>

extern const unsigned char openapi_yaml[];
extern const size_t openapi_yaml_len;
