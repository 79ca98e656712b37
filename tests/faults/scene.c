#include "tests/faults/scene.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/list.h"
#include "units/base/scoped.h"

#define PATIENCE 10000 /* milliseconds that anything may take */

void pause_for(unsigned milliseconds) {
    struct timespec time = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* ---- the units ---- */

static const struct {
    const char *name, *words;
} files[] = {
    {"units/" BYSTANDER ".unit",
     "service = { exec = [ \"/bin/sleep\", \"1000000\" ]; stop_timeout = \"1s\"; };\n"},
    {"units/plain.unit",
     "service = { exec = [ \"/bin/sleep\", \"1000000\" ]; stop_timeout = \"1s\"; };\n"
     "restart = { delay = \"20ms\"; max_delay = \"50ms\"; };\n"
     "install = { enabled = false; };\n"},
    {"units/hooks.unit",
     "service = { exec = [ \"/bin/sh\", \"-c\", \"trap : HUP; trap 'exit 0' TERM; while :; do "
     "sleep 1000 & wait; done\" ]; exec_pre = ( [ \"/bin/true\" ] ); init = true;\n"
     "  exec_reload = [ \"/bin/true\" ]; exec_stop = ( [ \"/bin/true\" ] );\n"
     "  exec_post = ( [ \"/bin/true\" ] ); stop_timeout = \"1s\"; };\n"
     "restart = { policy = \"no\"; };\ninstall = { enabled = false; };\n"},
    {"units/probed.unit",
     "service = { exec = [ \"/bin/sleep\", \"1000000\" ]; stop_timeout = \"1s\"; };\n"
     "health = { exec = [ \"/bin/true\" ]; interval = \"5min\"; };\n"
     "restart = { policy = \"no\"; };\ninstall = { enabled = false; };\n"},
    {"units/rich.unit",
     "service = { exec = [ \"/bin/sleep\", \"1000000\" ]; stop_timeout = \"1s\"; user = "
     "\"1000:1000\"; };\n"
     "mounts = ( { type = \"tmpfs\"; target = \"/mnt\"; }, { type = \"bind\"; source = \"/etc\"; "
     "target = \"/srv\"; readonly = true; } );\n"
     "volumes = ( { name = \"data\"; target = \"/media\"; } );\n"
     "network = { sockets = [ \"@/rich.sock\" ]; };\n"
     "restart = { policy = \"no\"; };\ninstall = { enabled = false; };\n"},
    {"units/layered.unit",
     "service = { exec = [ \"/bin/sleep\", \"1000000\" ]; stop_timeout = \"1s\"; };\n"
     "rootfs = { layers = [ \"/\" ]; };\n"
     "restart = { policy = \"no\"; };\ninstall = { enabled = false; };\n"},
    {"ringfence.conf", "manager = { missing_controllers = \"warn\"; };\n"},
};

/* "@" stands for the directory. */
static bool write_file(const struct scene *scene, const char *name, const char *words) {
    scoped_text struct text path = {0}, content = {0};
    text_format(&path, "%s/%s", scene->directory, name);
    for (; *words; words++)
        text_format(&content, "%.*s", *words == '@' ? (int)strlen(scene->directory) : 1,
                    *words == '@' ? scene->directory : words);
    FILE *file = fopen(path.data, "we");
    return file && fputs(content.data, file) >= 0 && fclose(file) == 0;
}

bool scene_change(const struct scene *scene) {
    static unsigned number;
    scoped_text struct text words = {0};
    text_format(&words,
                "unit = { description = \"no. %u\"; };\n"
                "service = { exec = [ \"/bin/sleep\", \"1000000\" ]; stop_timeout = \"1s\"; };\n"
                "restart = { policy = \"no\"; };\ninstall = { enabled = false; };\n",
                number++);
    return write_file(scene, "units/changing.unit", words.data);
}

static bool find_cgroup(char *ret, size_t size, const char *name) {
    scoped_file FILE *mounts = setmntent("/proc/self/mounts", "re");
    for (struct mntent *entry; mounts && (entry = getmntent(mounts));)
        if (strcmp(entry->mnt_type, "cgroup2") == 0) {
            snprintf(ret, size, "%s/%s", entry->mnt_dir, name);
            return true;
        }
    return false;
}

bool scene_open(struct scene *scene, const char *programs, const char **ret_reason) {
    scoped_text struct text path = {0};
    *scene = (struct scene){.directory = "/tmp/ringfence-faults-XXXXXX"};
    snprintf(scene->programs, sizeof(scene->programs), "%s", programs);
    *ret_reason = "needs root";
    if (geteuid() != 0 || !mkdtemp(scene->directory) || chmod(scene->directory, 0755) < 0)
        return false;
    *ret_reason = "there is no cgroup v2";
    if (!find_cgroup(scene->cgroup, sizeof(scene->cgroup), strrchr(scene->directory, '/') + 1))
        return false;
    text_format(&path, "%s/units", scene->directory);
    *ret_reason = "no file can be made below /tmp";
    if (mkdir(path.data, 0755) < 0)
        return false;
    for (size_t i = 0; i < ELEMENTS(files); i++)
        if (!write_file(scene, files[i].name, files[i].words))
            return false;
    unsetenv("NOTIFY_SOCKET");
    return scene_change(scene);
}

void scene_close(struct scene *scene) {
    struct fault fault;
    if (scene->keeper > 0)
        scene_stop(scene);
    scene_forget(scene);
    if (strstr(scene->directory, "XXXXXX") || !scene->directory[0])
        return;
    if (directory_remove(AT_FDCWD, scene->directory, &fault) < 0)
        printf("# %s\n", fault.text);
}

/* ---- the programs ---- */

/* The bystander may be what a fault of the start concerns. */
static bool answers(const struct scene *scene, bool faulty) {
    scoped_text struct text output = {0};
    return scene_run(scene, faulty ? "list" : "is-active " BYSTANDER, &output) == 0;
}

int scene_begin(struct scene *scene, const struct point *point) {
    enum { UNITS, RUN, STATE, LOG, CONFIG, MESSAGES, PATHS };
    static const char *const names[PATHS] = {"units",          "run",     "state", "log",
                                             "ringfence.conf", "messages"};
    char paths[PATHS][192], program[320];
    for (size_t i = 0; i < PATHS; i++)
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", scene->directory, names[i]);
    snprintf(program, sizeof(program), "%s/ringfenced", scene->programs);
    char *arguments[] = {program,    "--foreground", "--units",    paths[UNITS],  "--runtime-dir",
                         paths[RUN], "--state-dir",  paths[STATE], "--log-dir",   paths[LOG],
                         "--config", paths[CONFIG],  "--cgroup",   scene->cgroup, NULL};
    int error = injector_start(arguments, paths[MESSAGES], point, &scene->injector, &scene->keeper);
    for (unsigned waited = 0; error >= 0 && !answers(scene, point != NULL); waited += 10) {
        if (waited > PATIENCE)
            return -ETIMEDOUT;
        if (waitid(P_PID, (id_t)scene->keeper, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) < 0)
            return -ECHILD;
        pause_for(10);
    }
    return error;
}

int scene_stop(struct scene *scene) {
    int status = 0;
    unsigned waited = 0;
    kill(scene->keeper, SIGTERM);
    for (; waitpid(scene->keeper, &status, WNOHANG) == 0 && waited < PATIENCE; waited += 5)
        pause_for(5);
    if (waited >= PATIENCE) {
        scoped_text struct text path = {0};
        kill(scene->keeper, SIGKILL);
        waitpid(scene->keeper, &status, 0);
        text_format(&path, "%s/cgroup.kill", scene->cgroup);
        scoped_fd int fd = open(path.data, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, "1", 1) < 0)
            printf("# %s: %s\n", path.data, strerror(errno));
    }
    scene->keeper = 0;
    return waited >= PATIENCE ? -ETIMEDOUT : WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void scene_forget(struct scene *scene) {
    injector_close(scene->injector);
    scene->injector = NULL;
}

static _Noreturn void become_tool(const struct scene *scene, const char *words, int output) {
    char *arguments[16], *rest = strdup(words);
    char program[320], directory[192];
    size_t count = 0;
    snprintf(program, sizeof(program), "%s/ringfence", scene->programs);
    snprintf(directory, sizeof(directory), "%s/run", scene->directory);
    arguments[count++] = program;
    arguments[count++] = "--runtime-dir";
    arguments[count++] = directory;
    for (char *word; rest && count + 1 < ELEMENTS(arguments) && (word = strsep(&rest, " "));)
        arguments[count++] = word;
    arguments[count] = NULL;
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && dup2(null, 0) >= 0 && dup2(output, 1) >= 0 && dup2(output, 2) >= 0)
        execv(program, arguments);
    _exit(127);
}

int scene_run(const struct scene *scene, const char *words, struct text *ret_output) {
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t tool = fork();
    if (tool == 0)
        become_tool(scene, words, ends[1]);
    close(ends[1]);
    char part[4096];
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    bool late = false;
    for (ssize_t length; !late;) {
        late = poll(&ready, 1, PATIENCE) == 0;
        length = late ? 0 : read(ends[0], part, sizeof(part));
        if (length <= 0)
            break;
        text_format(ret_output, "%.*s", (int)length, part);
    }
    if (late)
        kill(tool, SIGKILL);
    close(ends[0]);
    if (tool < 0 || waitpid(tool, &status, 0) < 0)
        return 127;
    return late ? 124 : WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void scene_take_log(const struct scene *scene, struct text *ret_text) {
    scoped_text struct text path = {0};
    char part[4096];
    text_format(&path, "%s/messages", scene->directory);
    scoped_fd int fd = open(path.data, O_RDWR | O_CLOEXEC);
    for (ssize_t length; fd >= 0 && (length = read(fd, part, sizeof(part))) > 0;)
        text_format(ret_text, "%.*s", (int)length, part);
    if (fd >= 0 && ftruncate(fd, 0) < 0) /* who writes appends */
        printf("# %s: %s\n", path.data, strerror(errno));
}

/* ---- what there is ---- */

pid_t scene_main_pid(const struct scene *scene, const char *unit) {
    scoped_text struct text path = {0};
    int pid = 0;
    text_format(&path, "%s/unit-%s/main/cgroup.procs", scene->cgroup, unit);
    scoped_file FILE *file = fopen(path.data, "re");
    return file && fscanf(file, "%d", &pid) == 1 ? pid : 0;
}

static int by_name(const void *first, const void *second) {
    return strcmp(*(char *const *)first, *(char *const *)second);
}

/* The paths below a directory, to a depth of three, sorted. */
static void list_tree(const char *path, bool directories, int depth, struct text *ret_text) {
    DIR *directory = opendir(path);
    char *names[256];
    size_t count = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && count < ELEMENTS(names) &&
            (!directories || entry->d_type == DT_DIR))
            names[count++] = strdup(entry->d_name);
    if (directory)
        closedir(directory);
    qsort(names, count, sizeof(names[0]), by_name);
    for (size_t i = 0; i < count; i++) {
        scoped_text struct text below = {0};
        text_format(&below, "%s/%s", path, names[i]);
        text_format(ret_text, "%s\n", below.data);
        if (depth > 1)
            list_tree(below.data, directories, depth - 1, ret_text);
        free(names[i]);
    }
}

/* So that what one run leaves is not told of the next. */
void scene_clear_cgroup(const struct scene *scene) {
    scoped_text struct text tree = {0};
    list_tree(scene->cgroup, true, 4, &tree);
    for (char *end = tree.data; end && tree.length > 0;) {
        tree.data[--tree.length] = '\0';
        end = strrchr(tree.data, '\n');
        rmdir(end ? end + 1 : tree.data);
        tree.length = end ? (size_t)(end - tree.data) + 1 : 0;
    }
    rmdir(scene->cgroup);
}

static void list_children(pid_t manager, struct text *ret_text) {
    char path[64], line[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)manager, (int)manager);
    scoped_file FILE *file = fopen(path, "re");
    if (file && fgets(line, sizeof(line), file))
        text_add(ret_text, line);
}

static void list_mounts(pid_t manager, struct text *ret_text) {
    char path[64], line[1024];
    snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)manager);
    scoped_file FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (strstr(line, "ringfence")) /* others mount too */
            text_add(ret_text, line);
}

/* A line for each, without what makes one socket different from another; sorted. */
static unsigned list_descriptors(pid_t manager, struct text *ret_text) {
    char path[64], target[256];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)manager);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        text_format(ret_text, "%s -> %s\n", entry->d_name, target);
        count++;
    }
    if (directory)
        closedir(directory);
    return count;
}

void scene_look(const struct scene *scene, struct quiet *ret_quiet) {
    scoped_text struct text run = {0};
    *ret_quiet = (struct quiet){.manager = injector_manager(scene->injector),
                                .bystander = scene_main_pid(scene, BYSTANDER)};
    list_tree(scene->cgroup, true, 3, &ret_quiet->cgroups);
    text_format(&run, "%s/run", scene->directory);
    list_tree(run.data, false, 3, &ret_quiet->files);
    list_mounts(ret_quiet->manager, &ret_quiet->mounts);
    list_children(ret_quiet->manager, &ret_quiet->children);
    ret_quiet->count = list_descriptors(ret_quiet->manager, &ret_quiet->descriptors);
}

void quiet_clear(struct quiet *quiet) {
    text_free(&quiet->cgroups);
    text_free(&quiet->mounts);
    text_free(&quiet->files);
    text_free(&quiet->children);
    text_free(&quiet->descriptors);
    *quiet = (struct quiet){0};
}

/* The lines of one that the other has not. */
static void compare_lines(const struct text *before, const struct text *after, const char *words,
                          struct text *ret_words) {
    scoped_free char *copy = strdup(after->data ? after->data : "");
    char *rest = copy;
    for (char *line; rest && (line = strsep(&rest, "\n"));)
        if (*line && (!before->data || !strstr(before->data, line)))
            text_format(ret_words, "; %s %s", words, line);
}

void quiet_compare(const struct quiet *before, const struct quiet *after, struct text *ret_words) {
    if (before->manager != after->manager)
        text_format(ret_words, "; the manager is %d, and was %d", (int)after->manager,
                    (int)before->manager);
    if (before->bystander != after->bystander)
        text_format(ret_words, "; the bystander is %d, and was %d", (int)after->bystander,
                    (int)before->bystander);
    compare_lines(&before->cgroups, &after->cgroups, "left: cgroup", ret_words);
    compare_lines(&after->cgroups, &before->cgroups, "missing: cgroup", ret_words);
    compare_lines(&before->files, &after->files, "left: file", ret_words);
    compare_lines(&before->mounts, &after->mounts, "left: mount", ret_words);
    compare_lines(&before->children, &after->children, "left: child", ret_words);
    if (before->count == after->count)
        return;
    text_format(ret_words, "; %u descriptors, and had %u", after->count, before->count);
    compare_lines(&before->descriptors, &after->descriptors, "new: descriptor", ret_words);
    compare_lines(&after->descriptors, &before->descriptors, "gone: descriptor", ret_words);
}
