#include <string.h>
#include <sys/stat.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/tool.h"
#include "units/describe.h"
#include "units/set.h"

const struct flag verify_flags[] = {
    {"config", 0, "FILE", "the host's own file (/etc/ringfence/ringfence.conf)"},
    {0},
};

/* ---- verify ---- */

struct verification {
    const struct tool *tool;
    const char *host_file;
    struct text text, json;
    size_t seen;
    bool host_shown;
    int code;
};

/* What was named without a directory is shown without one. */
static void strip_dot(struct complaints *complaints) {
    for (size_t i = 0; i < complaints->count; i++) {
        char *file = complaints->items[i].file;
        if (file && strncmp(file, "./", 2) == 0)
            memmove(file, file + 2, strlen(file + 2) + 1);
    }
}

static const char *without_dot(const char *path) {
    return strncmp(path, "./", 2) == 0 ? path + 2 : path;
}

static void judge(struct verification *verification, struct unit_entry *entry, bool bare) {
    const char *path = bare ? without_dot(entry->path) : entry->path;

    if (bare)
        strip_dot(&entry->complaints);
    json_open(&verification->json, NULL, '{');
    json_string(&verification->json, "name", entry->name);
    json_string(&verification->json, "file", path);
    json_bool(&verification->json, "valid", entry->condition != UNIT_INVALID);
    json_bool(&verification->json, "masked", entry->condition == UNIT_MASKED);
    json_open(&verification->json, "complaints", '[');
    complaints_json(&entry->complaints, &verification->json);
    json_close(&verification->json, ']');
    json_close(&verification->json, '}');
    if (entry->condition == UNIT_INVALID) {
        verification->code = EXIT_INVALID;
        complaints_print(&entry->complaints, &verification->text);
    } else {
        text_format(&verification->text, "%s: %s\n", path,
                    entry->condition == UNIT_MASKED ? "masked" : "ok");
    }
    verification->seen++;
}

/* What is wrong with the host's own file concerns every unit, and is shown once. */
static void judge_host(struct verification *verification, const char *file,
                       const struct complaints *complaints) {
    verification->host_shown = true;
    json_open(&verification->json, NULL, '{');
    json_string(&verification->json, "name", "");
    json_string(&verification->json, "file", file);
    json_bool(&verification->json, "valid", complaints->count == 0);
    json_bool(&verification->json, "masked", false);
    json_open(&verification->json, "complaints", '[');
    complaints_json(complaints, &verification->json);
    json_close(&verification->json, ']');
    json_close(&verification->json, '}');
    if (complaints->count == 0) {
        text_format(&verification->text, "%s: ok\n", file);
        return;
    }
    verification->code = EXIT_INVALID;
    complaints_print(complaints, &verification->text);
}

static int load(struct verification *verification, struct unit_set **ret_set,
                struct unit_sources *sources) {
    struct complaints host = {0};
    struct fault fault;
    int error = unit_set_load(sources, ret_set, &host, &fault);

    if (host.count && !verification->host_shown)
        judge_host(verification, host.items[0].file, &host);
    complaints_free(&host);
    return error < 0 ? tool_fail(EXIT_FAILED, "verify: %s", fault.text) : EXIT_OK;
}

static int verify_directory(struct verification *verification, const char *directory) {
    scoped(unit_set_free) struct unit_set *set = NULL;
    const char *directories[] = {directory, NULL};
    struct unit_sources sources = {directories, verification->host_file};
    int code = load(verification, &set, &sources);

    for (size_t i = 0; code == EXIT_OK && i < set->count; i++)
        judge(verification, &set->entries[i], false);
    return code;
}

/* One file, beside the others of its directory, whose units it may name. */
static int verify_file(struct verification *verification, const char *path) {
    scoped(unit_set_free) struct unit_set *set = NULL;
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t length = strlen(file), suffix = strlen(UNIT_SUFFIX);
    scoped_free char *directory =
        slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    scoped_free char *name = NULL;
    const char *directories[] = {directory, NULL};
    struct unit_sources sources = {directories, verification->host_file};

    if (length <= suffix || strcmp(file + length - suffix, UNIT_SUFFIX) != 0)
        return tool_fail(EXIT_INVALID,
                         "verify: \"%s\" is not named NAME" UNIT_SUFFIX
                         "; the host's own file is checked by --config FILE",
                         path);
    name = strndup(file, length - suffix);
    if (!directory || !name)
        return tool_fail(EXIT_FAILED, "out of memory");
    int code = load(verification, &set, &sources);
    if (code != EXIT_OK)
        return code;
    struct unit_entry *entry = unit_set_find(set, name);
    if (!entry)
        return tool_fail(EXIT_FAILED, "verify: \"%s\" went away", path);
    judge(verification, entry, !slash);
    return EXIT_OK;
}

static int verify_path(struct verification *verification, const char *path) {
    struct stat status;

    if (lstat(path, &status) < 0)
        return tool_fail(EXIT_FAILED, "verify: cannot open \"%s\": %s", path, strerror(errno));
    return S_ISDIR(status.st_mode) ? verify_directory(verification, path)
                                   : verify_file(verification, path);
}

/* The host's file alone: no units are beside it. */
static int verify_host(struct verification *verification) {
    scoped(unit_set_free) struct unit_set *set = NULL;
    const char *directories[] = {NULL};
    struct unit_sources sources = {directories, verification->host_file};
    int code = load(verification, &set, &sources);

    if (code == EXIT_OK && !verification->host_shown)
        judge_host(verification, verification->host_file, &(struct complaints){0});
    verification->seen++;
    return code;
}

int verb_verify(const struct tool *tool, const struct arguments *arguments) {
    struct verification verification = {.tool = tool,
                                        .host_file = arguments_value(arguments, "config")};
    int code = EXIT_OK, print;

    if (!arguments->count && !verification.host_file)
        return tool_fail(EXIT_USAGE, "usage: ringfence verify FILE|DIR...");
    output_json_begin(&verification.json);
    json_open(&verification.json, "files", '[');
    if (!arguments->count)
        code = verify_host(&verification);
    for (char **path = arguments->operands; *path; path++) {
        int one = verify_path(&verification, *path);
        code = one != EXIT_OK ? one : code;
    }
    json_close(&verification.json, ']');
    if (code == EXIT_OK && verification.seen == 0)
        tool_fail(EXIT_OK, "verify: there are no unit files");
    print =
        tool->json ? output_json_end(&verification.json) : output_print(tool, &verification.text);
    text_free(&verification.text);
    text_free(&verification.json);
    return print != EXIT_OK ? print : verification.code != EXIT_OK ? verification.code : code;
}

/* ---- describe ---- */

int verb_describe(const struct tool *tool, const struct arguments *arguments) {
    scoped_text struct text text = {0};
    struct fault fault;

    if (tool->json && arguments->count)
        return tool_fail(EXIT_USAGE, "describe: --json is the schema of a whole unit file");
    if (tool->json) {
        describe_schema(&text);
        if (text.length && text.data[text.length - 1] != '\n')
            text_add(&text, "\n");
    } else if (describe_text(arguments->operands[0], &text, &fault) < 0) {
        return tool_fail(EXIT_FAILED, "%s", fault.text);
    }
    return output_print(tool, &text);
}
