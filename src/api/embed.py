#!/usr/bin/env python3
"""Writes the file argv[1] as a C array into argv[2]."""
import sys

data = open(sys.argv[1], 'rb').read()
with open(sys.argv[2], 'w') as out:
    out.write('#include "api/openapi.h"\n\nconst unsigned char openapi_yaml[] = {\n')
    for at in range(0, len(data), 16):
        out.write('\t' + ' '.join(f'{b},' for b in data[at:at + 16]) + '\n')
    out.write('};\nconst size_t openapi_yaml_len = sizeof(openapi_yaml);\n')
