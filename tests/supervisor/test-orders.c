/* A command with a token is done once, however often it is asked for, and whichever manager is
 * asked. */

#include "supervisor/facts-file.h"
#include "supervisor/orders.h"
#include "tests/supervisor/script.h"
#include "units/base/text.h"

#define TOKEN "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

static int order(enum command what, const char *name, const char *token) {
    struct fault fault = {{0}};
    ended = 0;
    sentence[0] = '\0';
    int error = manager_order(fake_manager, what, name, token, done, NULL, &fault);
    if (error < 0)
        snprintf(sentence, sizeof(sentence), "%s", fault.text);
    return error;
}

static void die(void) {
    fake_die();
    fake_revive(false);
}

static void boot(struct unit *unit) {
    begin(unit);
    manager_boot(fake_manager);
}

static int starts;

static void count_starts(struct service *service, enum service_state before) {
    starts += service->state == SERVICE_STARTING && before != SERVICE_STARTING;
}

static struct service *web(void) {
    return fake_service("web");
}

/* ---- tokens ---- */

TEST(a_token_is_32_hexadecimal_digits) {
    CHECK(order_token_is_valid(TOKEN));
    CHECK(!order_token_is_valid(""));
    CHECK(!order_token_is_valid(TOKEN "0"));
    CHECK(!order_token_is_valid("0123456789abcdef0123456789abcde"));
    CHECK(!order_token_is_valid("0123456789ABCDEF0123456789ABCDEF"));
    CHECK(!order_token_is_valid("0123456789abcdef 123456789abcdef"));
}

TEST(the_last_eight_are_kept) {
    scoped_free char *orders = NULL;
    char token[ORDER_TOKEN_LENGTH + 1];
    for (int i = 0; i < 12; i++) {
        snprintf(token, sizeof(token), "%032x", i);
        CHECK(!orders_have(orders, token));
        char *with = orders_with(orders, token);
        CHECK(with != NULL);
        free(orders);
        orders = with;
        CHECK(orders_have(orders, token));
    }
    for (int i = 0; i < 12; i++) {
        snprintf(token, sizeof(token), "%032x", i);
        CHECK(orders_have(orders, token) == (i >= 12 - ORDERS_KEPT));
    }
    CHECK(strlen(orders) == ORDERS_KEPT * (ORDER_TOKEN_LENGTH + 1) - 1);
}

/* ---- once ---- */

TEST(a_start_is_taken_once) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    boot(unit);
    starts = 0;
    fake_observe = count_starts;
    CHECK(order(COMMAND_START, "web", TOKEN) == 0);
    die();
    CHECK(order(COMMAND_START, "web", TOKEN) == 0);
    fake_run(SEC);
    CHECK(ended == 1 && error_told == 0);
    fake_exit("web", EXITED(0));
    fake_run(SEC);
    int before = starts;
    die();
    CHECK(order(COMMAND_START, "web", TOKEN) == 0); /* what became of it */
    CHECK(starts == before);
    end();
}

TEST(a_restart_that_was_taken_is_not_begun_again) {
    boot(fake_unit("web", SERVICE_EXEC));
    plan.stop_time = 2 * SEC;
    CHECK(command(COMMAND_START, "web") == 0);
    fake_run(SEC);
    starts = 0;
    fake_observe = count_starts;
    CHECK(order(COMMAND_RESTART, "web", TOKEN) == 0);
    fake_run(SEC);
    die();
    CHECK(order(COMMAND_RESTART, "web", TOKEN) == 0);
    CHECK(ended == 0);
    fake_run(4 * SEC);
    CHECK(ended == 1 && error_told == 0 && web()->state == SERVICE_READY);
    CHECK(starts == 1);
    die();
    CHECK(order(COMMAND_RESTART, "web", TOKEN) == 0);
    fake_run(4 * SEC);
    CHECK(ended == 1 && error_told == 0 && starts == 1);
    CHECK(order(COMMAND_RESTART, "web", OTHER) == 0);
    fake_run(4 * SEC);
    CHECK(ended == 1 && starts == 2);
    end();
}

TEST(one_that_was_not_written_down_is_done_now) {
    boot(fake_unit("web", SERVICE_EXEC));
    CHECK(command(COMMAND_START, "web") == 0);
    fake_run(SEC);
    starts = 0;
    fake_observe = count_starts;
    fake_full = true;
    CHECK(order(COMMAND_RESTART, "web", TOKEN) == 0);
    fake_full = false;
    die();
    CHECK(!orders_have(web()->private->orders, TOKEN));
    CHECK(order(COMMAND_RESTART, "web", TOKEN) == 0);
    fake_run(SEC);
    CHECK(ended == 1 && error_told == 0 && web()->state == SERVICE_READY);
    CHECK(starts == 1);
    end();
}

TEST(a_stop_that_was_done_stops_nothing_that_was_started_since) {
    boot(fake_unit("web", SERVICE_EXEC));
    CHECK(command(COMMAND_START, "web") == 0);
    fake_run(SEC);
    CHECK(order(COMMAND_STOP, "web", TOKEN) == 0);
    fake_run(SEC);
    CHECK(ended == 1 && web()->state == SERVICE_STOPPED);
    CHECK(order(COMMAND_START, "web", OTHER) == 0);
    fake_run(SEC);
    die();
    CHECK(order(COMMAND_STOP, "web", TOKEN) == 0);
    CHECK(ended == 1 && error_told == 0 && web()->state == SERVICE_READY);
    end();
}

TEST(a_stop_that_is_under_way_is_waited_for) {
    boot(fake_unit("web", SERVICE_EXEC));
    CHECK(command(COMMAND_START, "web") == 0);
    plan.stop_time = 2 * SEC;
    fake_run(SEC);
    CHECK(order(COMMAND_STOP, "web", TOKEN) == 0);
    fake_run(SEC);
    die();
    CHECK(order(COMMAND_STOP, "web", TOKEN) == 0);
    CHECK(ended == 0 && web()->state == SERVICE_STOPPING);
    fake_run(2 * SEC);
    CHECK(ended == 1 && error_told == 0 && web()->state == SERVICE_STOPPED);
    end();
}

TEST(one_that_is_refused_is_not_taken) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    boot(unit);
    CHECK(order(COMMAND_RELOAD, "web", TOKEN) == -ESRCH);
    CHECK_TEXT(sentence, "web is not running");
    CHECK(!orders_have(web()->private->orders, TOKEN));
    CHECK(order(COMMAND_START, "nobody", TOKEN) == -ENOENT);
    end();
}

/* ---- what is written, before anything of it happens ---- */

static bool written(const char *name, const char *words) {
    scoped_free char *text = NULL;
    struct fault fault;
    return facts_file_read(fake_manager, name, FACTS_FILE, &text, &fault) == 0 &&
           strstr(text, words) != NULL;
}

static int moved;

static void look(struct service *service, enum service_state before) {
    (void)service, (void)before;
    moved++;
    CHECK(written("web", "orders = \"" TOKEN "\"") && written("web", "goal = \"up\""));
    CHECK(moved > 1 || written("db", "goal = \"up\""));
}

TEST(what_an_order_asks_for_is_known_before_it_happens) {
    struct unit *unit = fake_unit("web", SERVICE_EXEC);
    fake_open(1);
    plan = good();
    fake_choose = choose;
    fake_set(fake_unit("db", SERVICE_EXEC));
    fake_add(&unit->dependencies.requires, "db");
    fake_set(unit);
    fake_apply();
    fake_observe = look;
    CHECK(order(COMMAND_START, "web", TOKEN) == 0);
    fake_observe = NULL;
    CHECK(moved > 0);
    fake_run(SEC);
    CHECK(ended == 1 && error_told == 0);
    end();
}

TEST_MAIN
