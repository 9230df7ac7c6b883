/* Compare-and-swaps under way, and the answers that the journal owes.
 *
 * A write stands inside of what it is for, and nothing of what it said is remembered: when it is
 * answered, its owner looks at the records as they are and decides anew.  So an answer that was
 * lost, came late, or was wrong costs a round and nothing else. */
#include <assert.h>

#include "fleet/inside.h"

uint64_t write_expect(struct fleet *f, struct write *w, enum write_kind kind, bool for_kept)
{
	assert(!write_pending(w));
	w->token = ++f->next_token;
	w->kind = (uint8_t)kind;
	w->for_kept = for_kept;
	list_add(&f->writes, &w->link);
	return w->token;
}

void write_send_all(struct fleet *f, struct write *w, enum write_kind kind,
		    const struct shared_put *puts, unsigned int count)
{
	uint64_t token = write_expect(f, w, kind, false);

	f->ops->submit(f->ctx, puts, count, token);
}

void write_send(struct fleet *f, struct write *w, enum write_kind kind,
		const struct shared_record *r, bool gone)
{
	struct shared_put put = { .record = r, .gone = gone };

	write_send_all(f, w, kind, &put, 1);
}

bool write_ready(struct fleet *f, const struct write *w)
{
	if (write_pending(w))
		return false;
	if (mono_due(w->not_before, f->now))
		return true;
	fleet_retry_at(f, w->not_before);
	return false;
}

/* Answers come about in the order of the questions, so the search is short. */
struct write *write_take(struct fleet *f, uint64_t token)
{
	LIST_FOR_EACH(&f->writes, l)
	{
		struct write *w = OF_LINK(struct write, link, l);

		if (w->token != token)
			continue;
		list_remove(&w->link);
		return w;
	}
	return NULL;
}

void write_later(struct fleet *f, struct write *w, enum shared_outcome outcome)
{
	switch (outcome) {
	case SHARED_DONE:
		w->not_before = f->now;
		break;
	case SHARED_LOST:
		/* Told as it is: look at once. */
		f->claims_lost++;
		w->not_before = f->now;
		break;
	case SHARED_UNREACHABLE:
		w->not_before = mono_after(f->now, FLEET_RETRY);
		break;
	case SHARED_REFUSED:
		w->not_before = mono_after(f->now, FLEET_REFUSED_RETRY);
		break;
	}
	fleet_retry_at(f, w->not_before);
}
