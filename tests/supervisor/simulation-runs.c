/* What runs beside the services of the simulation, and what they say of themselves. */

#include "tests/supervisor/simulation.h"

static void random_commands(struct commands *commands) {
    for (size_t i = chance(20) ? 1 + fake_random(3) : 0; i > 0; i--)
        fake_add_command(commands, "/bin/command");
}

void random_runs(struct unit *unit) {
    static const enum kill_mode modes[] = {KILL_CONTROL_GROUP, KILL_MIXED, KILL_PROCESS};
    if (unit->service.type == SERVICE_GROUP)
        return;
    random_commands(&unit->service.exec_pre);
    random_commands(&unit->service.exec_stop);
    random_commands(&unit->service.exec_post);
    if (chance(20))
        fake_add(&unit->service.exec_reload, "/bin/reload");
    else if (chance(20))
        unit->service.reload_signal = SIGHUP;
    unit->container.process.init = chance(20);
    if (chance(10) && !unit->container.process.init)
        unit->container.namespaces.choices[NAMESPACE_PID].mode = NAMESPACE_HOST;
    if (unit->container.process.init ||
        unit->container.namespaces.choices[NAMESPACE_PID].mode == NAMESPACE_HOST)
        unit->service.kill_mode = modes[fake_random(3)];
    unit->service.watchdog = chance(10) ? SEC + fake_random(20 * SEC) : DURATION_OFF;
    unit->restart.on_limit.pause = chance(20) ? SEC + fake_random(20 * SEC) : 0;
}

/* What it says of itself, at any time. */
void random_word(const struct service *service) {
    struct notification word = {.main_pidfd = -1};
    word.ready = chance(30);
    word.reloading = chance(30);
    word.stopping = chance(5);
    word.ping = chance(60);
    word.trigger = chance(3);
    word.restart_reset = chance(5);
    if (chance(50))
        word.monotonic = fake_now + fake_random(2);
    if (chance(20) && fake_may_ask_for_time(service))
        word.extend = fake_random(5 * SEC);
    if (chance(5))
        word.watchdog = SEC + fake_random(10 * SEC);
    word.status = chance(20) ? "well" : NULL;
    word.errno_text = chance(10) ? "2" : NULL;
    if (service && service->unit)
        fake_say(service->name, &word);
}
