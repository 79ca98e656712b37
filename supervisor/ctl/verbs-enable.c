#include <fcntl.h>
#include <string.h>

#include "supervisor/ctl/client.h"
#include "units/base/file.h"
#include "units/set.h"

/* The person's file is left alone: what was decided here stands in a drop-in beside it. */
#define DROP_IN "50-enabled.conf"
#define DIRECTORIES_MAX FLAG_TIMES_MAX

const struct flag enable_flags[] = {
    {"now", 0, NULL, "start it too, or stop it"},
    {"units", 0, "DIR", "a directory of unit files, where no manager tells them; may be repeated"},
    {"config", 0, "FILE", "the host's own file (/etc/ringfence/ringfence.conf)"},
    {0},
};

struct change {
    const struct tool *tool;
    sd_bus **bus; /* NULL in it: no manager answers */
    const char *const *directories;
    const char *host_file;
    bool enable, now;
};

/* ---- where the files are ---- */

/* Of the standard path a directory may be missing, of any other none. */
static bool is_standard_path(char *const *directories) {
    size_t i = 0;
    while (directories[i] && unit_standard_path[i] &&
           strcmp(directories[i], unit_standard_path[i]) == 0)
        i++;
    return !directories[i] && !unit_standard_path[i];
}

/* Those of the command line, else the manager's, else the standard path. Pointers live in `given`
 * and `told`. */
static int find_directories(struct change *change, const struct arguments *arguments,
                            const char **given, char ***told, struct fault *fault) {
    size_t count = 0;
    for (size_t i = 0; i < arguments->given_count; i++)
        if (strcmp(arguments->given[i].flag->name, "units") == 0)
            given[count++] = arguments->given[i].value;
    given[count] = NULL;
    change->directories = count ? given : unit_standard_path;
    if (count > 0 || !*change->bus)
        return EXIT_OK;
    sd_bus_error answer = SD_BUS_ERROR_NULL;
    int error = sd_bus_get_property_strv(*change->bus, NULL, BUS_MANAGER_PATH, BUS_MANAGER,
                                         "UnitDirectories", &answer, told);
    int code = error < 0 ? client_error(&answer, error, fault) : EXIT_OK;
    sd_bus_error_free(&answer);
    if (code == EXIT_OK && **told && !is_standard_path(*told))
        change->directories = (const char *const *)*told;
    return code;
}

/* ---- what the files say ---- */

enum { SAYS_DISABLED, SAYS_ENABLED };

/* SAYS_*, or an exit code below 0 with the complaint told. */
static int look(const struct change *change, const char *name, char **ret_path) {
    scoped(unit_set_free) struct unit_set *set = NULL;
    const struct unit_sources sources = {change->directories, change->host_file};
    struct complaints host = {0};
    struct fault fault;
    int error = unit_set_load(&sources, &set, &host, &fault);

    complaints_free(&host);
    if (error < 0)
        return -tool_fail(EXIT_FAILED, "%s", fault.text);
    const struct unit_entry *entry = unit_set_find(set, name);
    if (!entry && strchr(name, '@'))
        return -tool_fail(EXIT_NO_UNIT,
                          "%s comes from a template: name it in the wants of another unit", name);
    if (!entry)
        return -tool_fail(EXIT_NO_UNIT, "there is no unit \"%s\" in \"%s\"", name,
                          change->directories[0]);
    if (entry->condition == UNIT_MASKED)
        return -tool_fail(EXIT_INVALID, "%s is masked by %s", name, entry->path);
    if (entry->condition == UNIT_TEMPLATE)
        return -tool_fail(EXIT_INVALID, "%s is a template, and only its instances can start", name);
    if (entry->condition == UNIT_INVALID) {
        scoped_text struct text text = {0};
        complaints_print(&entry->complaints, &text);
        fputs(text.data ? text.data : "", stderr);
        return -tool_fail(EXIT_INVALID, "%s is invalid", name);
    }
    if (ret_path)
        *ret_path = strdup(entry->path);
    return entry->unit->install.enabled ? SAYS_ENABLED : SAYS_DISABLED;
}

/* ---- the drop-in ---- */

static int write_drop_in(const struct change *change, const char *directory, struct fault *fault) {
    const char *text =
        change->enable ? "install = { enabled = true; };\n" : "install = { enabled = false; };\n";
    int error = directory_make(AT_FDCWD, directory, 0755, fault);
    if (error == 0)
        error = directory_sync(AT_FDCWD, change->directories[0], fault);
    scoped_fd int held = error < 0 ? -EBADF : open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (error < 0)
        return error;
    if (held < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", directory);
    return file_replace(held, DROP_IN, text, strlen(text), 0644, true, fault);
}

/* 1: it was there. The directory goes with its last file. */
static int remove_drop_in(const struct change *change, const char *path, const char *directory,
                          struct fault *fault) {
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : fault_set(fault, errno, "cannot remove \"%s\"", path);
    const char *changed = rmdir(directory) == 0 ? change->directories[0] : directory;
    int error = directory_sync(AT_FDCWD, changed, fault);
    return error < 0 ? error : 1;
}

static int fail(int error, const struct fault *fault) {
    return tool_fail(error == -EACCES || error == -EPERM ? EXIT_PERMISSION : EXIT_FAILED, "%s",
                     fault->text);
}

/* The opposite of ours is removed first: perhaps the file itself says what is wanted. */
static int write_change(const struct change *change, const char *name) {
    scoped_free char *directory = NULL, *path = NULL, *file = NULL;
    const char *word = change->enable ? "enabled" : "disabled";
    struct fault fault;
    int says = look(change, name, &file);

    if (says < 0)
        return -says;
    if (says == (int)change->enable) {
        printf("%s: %s already\n", name, word);
        return EXIT_OK;
    }
    if (asprintf(&directory, "%s/%s" UNIT_SUFFIX ".d", change->directories[0], name) < 0 ||
        asprintf(&path, "%s/" DROP_IN, directory) < 0)
        return tool_fail(EXIT_FAILED, "out of memory");
    int removed = remove_drop_in(change, path, directory, &fault);
    if (removed < 0)
        return fail(removed, &fault);
    if (removed && (says = look(change, name, NULL)) < 0)
        return -says;
    if (says == (int)change->enable) {
        printf("%s: %s, as %s says; removed %s\n", name, word, file ? file : "its file", path);
        return EXIT_OK;
    }
    int error = write_drop_in(change, directory, &fault);
    if (error < 0)
        return fail(error, &fault);
    if ((says = look(change, name, NULL)) < 0)
        return -says;
    if (says != (int)change->enable) {
        remove_drop_in(change, path, directory, &fault);
        return tool_fail(EXIT_FAILED, "%s: another drop-in overrules %s, which was removed again",
                         name, path);
    }
    printf("%s: %s by %s\n", name, word, path);
    return EXIT_OK;
}

/* ---- the manager ---- */

static int tell_manager(const struct change *change, char *const *names) {
    struct fault fault;
    int result = EXIT_OK, code;

    if (!*change->bus && change->now)
        return tool_fail(EXIT_UNREACHABLE, "no manager answers: nothing was %s",
                         change->enable ? "started" : "stopped");
    if (!*change->bus)
        return EXIT_OK;
    code = client_insist(change->tool, change->bus, "ReloadUnits", NULL, &fault, NULL);
    if (code != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (; change->now && *names; names++) {
        char token[CLIENT_TOKEN_SIZE];
        fflush(stdout);
        client_make_token(token);
        code = client_insist(change->tool, change->bus, "Order", NULL, &fault, "ssbs",
                             change->enable ? "start" : "stop", *names, true, token);
        if (code != EXIT_OK)
            result = tool_fail(code, "%s", fault.text);
        if (code == EXIT_UNREACHABLE)
            break;
    }
    return result;
}

static int change_all(const struct tool *tool, const struct arguments *arguments, bool enable) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    scoped(client_names_free) char **told = NULL;
    const char *given[DIRECTORIES_MAX + 1];
    struct change change = {.tool = tool,
                            .bus = &bus,
                            .host_file = arguments_value(arguments, "config"),
                            .enable = enable,
                            .now = arguments_value(arguments, "now") != NULL};
    struct fault fault;
    int result = EXIT_OK, code = client_open(tool, &bus, &fault);

    if (code != EXIT_OK && code != EXIT_UNREACHABLE)
        return tool_fail(code, "%s", fault.text);
    if ((code = find_directories(&change, arguments, given, &told, &fault)) != EXIT_OK)
        return tool_fail(code, "%s", fault.text);
    for (char **name = arguments->operands; *name; name++)
        if ((code = write_change(&change, *name)) != EXIT_OK)
            result = code;
    if (result != EXIT_OK)
        return result;
    return tell_manager(&change, arguments->operands);
}

int verb_enable(const struct tool *tool, const struct arguments *arguments) {
    return change_all(tool, arguments, true);
}

int verb_disable(const struct tool *tool, const struct arguments *arguments) {
    return change_all(tool, arguments, false);
}
