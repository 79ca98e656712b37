# The four programs of the top floor.
include(GNUInstallDirs)

# The control door: linked into ringfence-manager, whose functions it calls. Its protocol is the
# tool's too.
add_library(protocol STATIC supervisor/bus-protocol.c)
target_link_libraries(protocol PUBLIC base PkgConfig::LIBSYSTEMD)
file(GLOB DOOR_SOURCES CONFIGURE_DEPENDS supervisor/bus*.c)
list(FILTER DOOR_SOURCES EXCLUDE REGEX "/bus-protocol\\.c$")
add_library(door STATIC ${DOOR_SOURCES})
target_link_libraries(door PUBLIC protocol units)

file(GLOB TOOL_SOURCES CONFIGURE_DEPENDS supervisor/ctl/*.c)
if(EXISTS ${CMAKE_SOURCE_DIR}/units/describe.c)
    add_executable(ringfence ${TOOL_SOURCES})
    target_link_libraries(ringfence PRIVATE protocol units logs m)
endif()

# The log files: what ringfence-logd writes and `ringfence logs` reads.
file(GLOB LOG_SOURCES CONFIGURE_DEPENDS supervisor/log/*.c)
list(FILTER LOG_SOURCES EXCLUDE REGEX "/logd\\.c$")
add_library(logs STATIC ${LOG_SOURCES})
target_link_libraries(logs PUBLIC base)

# The keeper: static, with musl where musl-gcc is there (28 KB of memory instead of 700).
include(CheckCSourceCompiles)
set(RINGFENCE_LIBEXEC ${CMAKE_INSTALL_FULL_LIBEXECDIR}/ringfence)
file(GLOB_RECURSE KEEPER_SOURCES CONFIGURE_DEPENDS supervisor/keeper/*.c supervisor/device/*.c)
list(APPEND KEEPER_SOURCES ${CMAKE_SOURCE_DIR}/units/base/foreign.c
     ${CMAKE_SOURCE_DIR}/units/base/names.c)
find_program(MUSL_GCC musl-gcc)
if(MUSL_GCC AND NOT SANITIZE)
    find_path(KERNEL_HEADERS linux/watchdog.h) # musl brings none
    set(KEEPER_FLAGS -std=gnu11 -Os -g -static -D_GNU_SOURCE -Wall -Wextra -Wshadow
                     $<$<BOOL:${STRICT}>:-Werror> -ffunction-sections -fdata-sections
                     -Wl,--gc-sections)
    file(GLOB_RECURSE KEEPER_HEADERS CONFIGURE_DEPENDS supervisor/keeper/*.h supervisor/device/*.h
         units/base/*.h)
    add_custom_command(
        OUTPUT ${CMAKE_BINARY_DIR}/ringfenced
        COMMAND ${MUSL_GCC} ${KEEPER_FLAGS} -DRINGFENCE_VERSION="${PROJECT_VERSION}"
                -DRINGFENCE_LIBEXEC="${RINGFENCE_LIBEXEC}" -I${CMAKE_SOURCE_DIR}
                -idirafter ${KERNEL_HEADERS}
                -idirafter ${KERNEL_HEADERS}/${CMAKE_LIBRARY_ARCHITECTURE}
                -o ${CMAKE_BINARY_DIR}/ringfenced ${KEEPER_SOURCES}
        DEPENDS ${KEEPER_SOURCES} ${KEEPER_HEADERS}
        COMMAND_EXPAND_LISTS VERBATIM) # a flag that expands to nothing is no empty argument
    add_custom_target(keeper ALL DEPENDS ${CMAKE_BINARY_DIR}/ringfenced)
    install(PROGRAMS ${CMAKE_BINARY_DIR}/ringfenced DESTINATION ${CMAKE_INSTALL_SBINDIR})
else()
    add_executable(ringfenced ${KEEPER_SOURCES})
    target_compile_definitions(ringfenced PRIVATE RINGFENCE_LIBEXEC="${RINGFENCE_LIBEXEC}")
    set(CMAKE_REQUIRED_LINK_OPTIONS -static)
    check_c_source_compiles("int main(void) { return 0; }" STATIC_LIBC)
    unset(CMAKE_REQUIRED_LINK_OPTIONS)
    if(STATIC_LIBC AND NOT SANITIZE)
        target_link_options(ringfenced PRIVATE -static)
    endif()
    install(TARGETS ringfenced DESTINATION ${CMAKE_INSTALL_SBINDIR})
endif()

# The logger. RINGFENCE_LIBEXEC is where ringfenced looks for it, if not beside itself.
add_executable(ringfence-logd supervisor/log/logd.c)
target_link_libraries(ringfence-logd PRIVATE logs)

# The manager. Its policy knows no kernel: the simulation (tests/supervisor) links it with a world of
# its own.
file(GLOB SERVICE_SOURCES CONFIGURE_DEPENDS supervisor/service*.c)
add_library(policy STATIC
    supervisor/adopt.c supervisor/adopt-unit.c supervisor/alive.c supervisor/apply.c supervisor/change.c supervisor/children.c supervisor/command.c
    supervisor/condition.c supervisor/digest.c supervisor/exec.c supervisor/facts.c supervisor/fd-store.c
    supervisor/gate.c
    supervisor/graph.c supervisor/health.c supervisor/job.c supervisor/log.c supervisor/manager.c
    supervisor/orders.c supervisor/passing.c supervisor/plan.c supervisor/plan-action.c supervisor/restart.c supervisor/schedule.c
    supervisor/shutdown.c
    ${SERVICE_SOURCES} supervisor/state.c supervisor/state-table.c
    supervisor/timers.c supervisor/transaction.c supervisor/witness.c)
target_link_libraries(policy PUBLIC base)
file(GLOB BOOT_SOURCES CONFIGURE_DEPENDS supervisor/boot*.c)
add_library(world STATIC
    ${BOOT_SOURCES} supervisor/device/block.c supervisor/device/uevents.c
    supervisor/console.c supervisor/facts-file.c supervisor/host-terminal.c supervisor/keeping.c supervisor/logger.c
    supervisor/machine.c supervisor/membership.c supervisor/reexec.c
    supervisor/notify-message.c supervisor/notify.c supervisor/output.c
    supervisor/probe.c supervisor/probe-exec.c supervisor/probe-net.c supervisor/ready-pipe.c
    supervisor/sockets.c supervisor/sockets-holder.c supervisor/sockets-use.c
    supervisor/stamp.c supervisor/world.c)
target_link_libraries(world PUBLIC policy PkgConfig::LIBSYSTEMD)
# No clock is right that is behind this; SOURCE_DATE_EPOCH fixes it for reproducible builds.
string(TIMESTAMP RINGFENCE_EPOCH %s UTC)
set_source_files_properties(supervisor/boot-saved.c PROPERTIES
                            COMPILE_DEFINITIONS RINGFENCE_EPOCH=${RINGFENCE_EPOCH})
if(TARGET units)
    add_executable(ringfence-manager supervisor/main.c)
    target_link_libraries(ringfence-manager PRIVATE world door policy world runtime units
                          PkgConfig::LIBSYSTEMD)
endif()

# Manual pages, beside what they document.
find_program(SCDOC scdoc)
if(SCDOC)
    file(GLOB MANUAL_SOURCES CONFIGURE_DEPENDS supervisor/*/*.scd)
    foreach(source ${MANUAL_SOURCES})
        get_filename_component(page ${source} NAME_WLE)
        string(REGEX MATCH "[0-9]$" section ${page})
        add_custom_command(
            OUTPUT ${CMAKE_BINARY_DIR}/man/${page}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
            COMMAND ${SCDOC} < ${source} > ${CMAKE_BINARY_DIR}/man/${page}
            DEPENDS ${source})
        list(APPEND MANUAL_PAGES ${CMAKE_BINARY_DIR}/man/${page})
        install(FILES ${CMAKE_BINARY_DIR}/man/${page}
                DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
    endforeach()
    add_custom_target(manual ALL DEPENDS ${MANUAL_PAGES})
endif()
