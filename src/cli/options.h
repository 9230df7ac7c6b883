/* The command line as data: nouns, verbs and options are tables; parsing, usage and help come from
 * them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_MAX   48 /* of one verb */
#define ARGUMENTS_MAX 256

enum option_type {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_NUMBER,
	OPTION_LIST,  /* may be given several times */
	OPTION_WORDS, /* one argument, separated by commas */
	OPTION_TYPE_COUNT
};

struct option {
	const char *name;
	const char *arg; /* "NAME"; NULL for a flag */
	enum option_type type;
	const char *help;
	/* The member of the request's body or the query parameter that it becomes ("allocate.pool":
	 * of an object inside); NULL: the verb knows what it is for. */
	const char *field;
};

struct command;

struct verb {
	const char *name;  /* one word, or two ("member add"); "" where the noun has no verbs */
	const char *alias; /* NULL or another name */
	const char *args;  /* for the usage: "NAME", "ADDRESS|NAME…" */
	unsigned int args_min, args_max;
	const char *summary;
	const char *more; /* a paragraph for --help; may be NULL */
	const char *examples;
	const struct option *options;
	unsigned int option_count;
	bool writes; /* takes --reason */
	int (*run)(struct command *c);
};

struct noun {
	const char *name, *summary;
	const struct verb *verbs;
	unsigned int verb_count;
};

/* As many as the command line gives. */
struct values {
	const char **text;
	unsigned int count, room;
};

struct vmac_client;

/* One parsed command line. */
struct command {
	const struct noun *noun;
	const struct verb *verb;
	const char *first; /* the first word of a verb of two, until it has its second */
	const char *args[ARGUMENTS_MAX];
	unsigned int arg_count;
	struct values values[OPTIONS_MAX]; /* as verb->options; kept until the process ends */
	const char *socket, *reason;	   /* NULL = not given */
	bool json, quiet, help, version;
	struct vmac_client *client; /* opened by the first call */
};

/* 0: *ret is complete (or asks for help, or for the version); else the exit status, and stderr says
 * why. */
int command_parse(const struct noun *nouns, unsigned int noun_count, int argc, char **argv,
		  struct command *ret);

/* The value of an option of this verb, NULL when not given; its values. */
const char *command_option(const struct command *c, const char *name);
const struct values *command_values(const struct command *c, const char *name);

/* Help for what the command line names so far. */
void command_help(const struct noun *nouns, unsigned int noun_count, const struct command *c);

/* "vmac: MESSAGE", and "hint: vmac NOUN VERB --help"; returns the exit status of bad usage. */
int command_misuse(const struct command *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
