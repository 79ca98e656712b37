# The four programs of the top floor.

# The log files: what ringfence-logd writes and `ringfence logs` reads.
file(GLOB LOG_SOURCES CONFIGURE_DEPENDS supervisor/log/*.c)
list(FILTER LOG_SOURCES EXCLUDE REGEX "/logd\\.c$")
add_library(logs STATIC ${LOG_SOURCES})
target_link_libraries(logs PUBLIC base)
