/* Any bytes as a message of sd_notify(3): what is understood of it lies within it, and each value
 * is one that the protocol has. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/fd-store.h"
#include "supervisor/notify-message.h"
#include "units/base/scoped.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* NULL, or a whole line of the message. */
static void check_text(const char *text, const char *begin, size_t size) {
    if (text && (text < begin || text > begin + size || strchr(text, '\n')))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped_free char *text = malloc(size + 1);
    struct notify_message message;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    notify_message_parse(text, &message);
    const char *const texts[] = {message.said.status,    message.said.errno_text,
                                 message.said.bus_error, message.said.exit_status,
                                 message.main_pid,       message.fd_name};
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        check_text(texts[i], text, size);
    if (message.fd_name && (!*message.fd_name || strlen(message.fd_name) > FD_STORE_NAME_MAX ||
                            strchr(message.fd_name, ':')))
        abort();
    if (message.said.access > ACCESS_NONE || message.said.main_pidfd != -1 ||
        message.said.main_pid != 0)
        abort();
    return 0;
}
