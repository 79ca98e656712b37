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
    const struct notification word = {
        .ready = chance(30),
        .reloading = chance(30),
        .stopping = chance(5),
        .ping = chance(60),
        .trigger = chance(3),
        .restart_reset = chance(5),
        .monotonic = chance(50) ? fake_now + fake_random(2) : 0,
        .extend = chance(20) && fake_may_ask_for_time(service) ? fake_random(5 * SEC) : 0,
        .watchdog = chance(5) ? SEC + fake_random(10 * SEC) : 0,
        .status = chance(20) ? "well" : NULL,
        .errno_text = chance(10) ? "2" : NULL,
        .main_pidfd = -1,
    };
    if (service && service->unit)
        fake_say(service->name, &word);
}
