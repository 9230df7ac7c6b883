/* The name of a registry: a random UUID (RFC 9562, version 4), made with it. */
#pragma once

#define UUID_TEXT_MAX 37

char *uuid_make(char buf[static UUID_TEXT_MAX]);
