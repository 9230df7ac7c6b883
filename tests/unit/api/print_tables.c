/* Prints the tables of routes and fields, for the test that holds docs/openapi.yaml against them.
 */
#include <stdio.h>

#include "api/internal.h"
#include "base/cleanup.h"

static const char *const types[] = {
	[FIELD_NAME] = "text",	   [FIELD_IFNAME] = "text", [FIELD_PATH] = "text",
	[FIELD_TEXT] = "text",	   [FIELD_PARSED] = "text", [FIELD_LIST] = "array",
	[FIELD_UINT] = "integer",  [FIELD_INT] = "integer", [FIELD_BOOL] = "boolean",
	[FIELD_OBJECT] = "object", [FIELD_ITEMS] = "items",
};

_Static_assert(ARRAY_LEN(types) == FIELD_TYPE_COUNT, "a name a type");

static void print_schema(const struct schema *s)
{
	for (unsigned int i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];

		printf("field %s %s %s %d %s\n", s->name, f->name, types[f->type], f->required,
		       f->object ? f->object->name : "-");
		if (f->object)
			print_schema(f->object);
	}
}

int main(void)
{
	for (unsigned int i = 0; i < route_count; i++) {
		const struct route *r = &routes[i];

		printf("route %s %s %s\n", r->method, r->pattern, r->body ? r->body->name : "-");
		for (unsigned int q = 0; q < r->query->count; q++)
			printf("query %s %s %s %s\n", r->method, r->pattern,
			       r->query->fields[q].name, types[r->query->fields[q].type]);
		if (r->body)
			print_schema(r->body);
	}
	return 0;
}
