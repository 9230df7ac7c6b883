/* JSON as YAML, for files that people go on writing. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* Writes a value at a depth of `indent` blanks.  Objects are blocks, arrays of scalars stand on one
 * line, arrays of objects are lists. */
void yaml_members(FILE *f, const json_t *object, unsigned int indent);

/* Writes one text as YAML reads it back as a text: plain where nothing can be mistaken. */
void yaml_text(FILE *f, const char *text);
