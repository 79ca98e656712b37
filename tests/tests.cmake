# A file tests/ROOM/test-NAME.c is a program that prints TAP; it links its floor and those beneath.
if(TESTS)
    foreach(room base units runtime)
        file(GLOB TEST_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${room}/test-*.c)
        foreach(source ${TEST_SOURCES})
            get_filename_component(name ${source} NAME_WE)
            add_executable(${room}-${name} ${source})
            set_target_properties(${room}-${name} PROPERTIES
                                  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
            target_link_libraries(${room}-${name} PRIVATE ${room})
        endforeach()
    endforeach()
endif()

# The policy against a fake runtime, clock and chance: neither root nor kernel is needed.
if(TESTS)
    add_library(lifeless STATIC tests/supervisor/fake-acts.c tests/supervisor/fake-adopt.c
                tests/supervisor/fake-probe.c tests/supervisor/fake-rules.c
                tests/supervisor/fake-run.c
                tests/supervisor/fake-runtime.c tests/supervisor/fake-sandbox.c
                tests/supervisor/fake-sockets.c
                tests/supervisor/fake-stamp.c tests/supervisor/fake-strangers.c
                tests/supervisor/fake-units.c tests/supervisor/fake-world.c)
    target_link_libraries(lifeless PUBLIC policy)
    foreach(name test-adoption test-apply test-clock test-dependencies test-facts test-health test-jobs test-listen
            test-orders test-pause test-restart test-runs test-schedule test-service test-shutdown test-timers)
        add_executable(supervisor-${name} tests/supervisor/${name}.c)
        set_target_properties(supervisor-${name} PROPERTIES
                              RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
        target_link_libraries(supervisor-${name} PRIVATE policy lifeless policy units)
    endforeach()
    target_compile_definitions(supervisor-test-facts
                               PRIVATE FACTS_DIRECTORY="${CMAKE_SOURCE_DIR}/tests/supervisor")
    add_executable(supervisor-test-simulation tests/supervisor/test-simulation.c
                   tests/supervisor/simulation-deaths.c tests/supervisor/simulation-files.c
                   tests/supervisor/simulation-relations.c tests/supervisor/simulation-rules.c
                   tests/supervisor/simulation-runs.c tests/supervisor/simulation-timers.c)
    set_target_properties(supervisor-test-simulation PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(supervisor-test-simulation PRIVATE policy lifeless policy units)
    # Once more over a policy with deliberate faults (supervisor/seeded.h).
    get_target_property(POLICY_SOURCES policy SOURCES)
    get_target_property(LIFELESS_SOURCES lifeless SOURCES)
    get_target_property(SIMULATION_SOURCES supervisor-test-simulation SOURCES)
    add_executable(supervisor-test-simulation-faults ${SIMULATION_SOURCES} ${POLICY_SOURCES}
                   ${LIFELESS_SOURCES})
    target_compile_definitions(supervisor-test-simulation-faults PRIVATE SIMULATE_FAULT)
    set_target_properties(supervisor-test-simulation-faults PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(supervisor-test-simulation-faults PRIVATE units)
endif()

# The init of the test machine (tests/boot). Static: it runs before any library is there to trust.
if(TESTS AND NOT SANITIZE)
    add_executable(boot-agent tests/boot/agent.c)
    target_link_options(boot-agent PRIVATE -static)
    set_target_properties(boot-agent PROPERTIES OUTPUT_NAME agent
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/boot)
endif()

# The control door in front of made-up services, for tests/supervisor/door.bats and tests/ctl.
if(TESTS)
    add_executable(door-manager tests/supervisor/door-manager.c supervisor/log.c
                   supervisor/orders.c supervisor/plan-action.c)
    target_link_libraries(door-manager PRIVATE door)
    add_executable(supervisor-test-door tests/supervisor/test-door.c)
    target_link_libraries(supervisor-test-door PRIVATE protocol)
    set_target_properties(door-manager supervisor-test-door PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# Who kills a manager in the middle of an event, for tests/supervisor/effects.bats.
if(TESTS)
    add_executable(kill-at tests/supervisor/kill-at.c)
    set_target_properties(kill-at PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# A unit that keeps account of itself, for tests/supervisor/storm.
if(TESTS)
    add_executable(storm-service tests/supervisor/storm-service.c)
    set_target_properties(storm-service PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# A person at a terminal, for tests/supervisor/attach.bats.
if(TESTS)
    add_executable(pty-driver tests/ctl/pty-driver.c)
    set_target_properties(pty-driver PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# What people write on the tool's command line.
if(TESTS)
    add_executable(ctl-test-when tests/ctl/test-when.c supervisor/ctl/when.c)
    set_target_properties(ctl-test-when PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_link_libraries(ctl-test-when PRIVATE base)
endif()

# The log files.
if(TESTS)
    foreach(name test-log test-log-chunks test-log-killed test-log-listing test-log-reader)
        add_executable(supervisor-${name} tests/supervisor/${name}.c)
        set_target_properties(supervisor-${name} PROPERTIES
                              RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
        target_link_libraries(supervisor-${name} PRIVATE logs)
    endforeach()
    add_executable(log-receiver tests/supervisor/log-receiver.c)
    set_target_properties(log-receiver PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                          ${CMAKE_BINARY_DIR}/tests)
endif()

# Both ends of activated sockets, for tests/supervisor/sockets.bats.
if(TESTS)
    add_executable(socket-peer tests/supervisor/socket-peer.c)
    target_link_libraries(socket-peer PRIVATE PkgConfig::LIBSYSTEMD)
    set_target_properties(socket-peer PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# A serial line, for tests/supervisor/console.bats.
if(TESTS)
    add_executable(console-peer tests/supervisor/console-peer.c)
    set_target_properties(console-peer PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# Devices by name, with what makes file systems.
if(TESTS)
    add_executable(supervisor-test-block tests/supervisor/test-block.c supervisor/device/block.c)
    target_link_libraries(supervisor-test-block PRIVATE base)
    set_target_properties(supervisor-test-block PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# What a factory reset deletes: with this C library, and with the keeper's own.
if(TESTS)
    set(TREE_SOURCES ${CMAKE_SOURCE_DIR}/tests/supervisor/test-tree.c
        ${CMAKE_SOURCE_DIR}/supervisor/keeper/initramfs/tree.c)
    add_executable(supervisor-test-tree ${TREE_SOURCES})
    set_target_properties(supervisor-test-tree PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    if(MUSL_GCC AND NOT SANITIZE)
        set(TREE_PROGRAM ${CMAKE_BINARY_DIR}/tests/supervisor-test-tree-keeper)
        add_custom_command(
            OUTPUT ${TREE_PROGRAM}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/tests
            COMMAND ${MUSL_GCC} ${KEEPER_FLAGS} -I${CMAKE_SOURCE_DIR} -o ${TREE_PROGRAM}
                    ${TREE_SOURCES}
            DEPENDS ${TREE_SOURCES} ${CMAKE_SOURCE_DIR}/supervisor/keeper/initramfs/tree.h
                    ${CMAKE_SOURCE_DIR}/tests/test.h
            COMMAND_EXPAND_LISTS VERBATIM)
        add_custom_target(supervisor-test-tree-keeper ALL DEPENDS ${TREE_PROGRAM})
    endif()
endif()

# The services of tests/supervisor/boot-graph.bats, and what is checked of them.
if(TESTS)
    add_executable(boot-graph tests/supervisor/boot-graph.c)
    set_target_properties(boot-graph PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# What ringfenced keeps alive in tests/supervisor/keeper.bats.
if(TESTS)
    add_executable(fake-child tests/supervisor/fake-child.c)
    set_target_properties(fake-child PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

if(TESTS AND NOT SANITIZE)
    include(tests/bench/bench.cmake)
endif()

# The unit files of tests/units and their expected complaints.
if(TESTS)
    foreach(name golden resolved)
        target_compile_definitions(units-test-${name}
                                   PRIVATE GOLDEN_DIRECTORY="${CMAKE_SOURCE_DIR}/tests/units")
    endforeach()
endif()

# Fuzz targets: with libFuzzer, and as tests that replay the corpus. What they are made of beside the
# base is compiled into them, so that it too is instrumented.
function(add_fuzz_target room name)
    if(FUZZ)
        add_executable(fuzz-${name} tests/fuzz/fuzz-${name}.c ${ARGN} ${BASE_SOURCES})
        target_compile_options(fuzz-${name} PRIVATE -fsanitize=fuzzer,address,undefined)
        target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer,address,undefined)
        set_target_properties(fuzz-${name} PROPERTIES
                              RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    endif()
    if(TESTS)
        set(replay ${room}-test-fuzz-${name})
        add_executable(${replay} tests/fuzz/fuzz-${name}.c tests/fuzz/replay.c ${ARGN})
        target_link_libraries(${replay} PRIVATE base)
        target_compile_definitions(${replay} PRIVATE
                                   CORPUS_DIRECTORY="${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
        set_target_properties(${replay} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    endif()
endfunction()
foreach(name loader number ports schedule zone)
    add_fuzz_target(units ${name})
    if(FUZZ)
        target_sources(fuzz-${name} PRIVATE ${UNITS_SOURCES})
        target_link_libraries(fuzz-${name} PRIVATE PkgConfig::LIBCONFIG)
    endif()
    if(TESTS)
        target_link_libraries(units-test-fuzz-${name} PRIVATE units PkgConfig::LIBCONFIG)
    endif()
endforeach()
add_fuzz_target(runtime credentials runtime/credentials.c)
add_fuzz_target(supervisor facts supervisor/facts.c supervisor/timers.c)
add_fuzz_target(supervisor log-record supervisor/log/record.c)
add_fuzz_target(supervisor log-lines supervisor/log/lines.c supervisor/log/rate.c
                supervisor/log/record.c)
add_fuzz_target(supervisor log-settings supervisor/log/settings.c supervisor/log/sink.c
                supervisor/log/record.c)
add_fuzz_target(supervisor notify-message supervisor/notify-message.c)
add_fuzz_target(ctl when supervisor/ctl/when.c)

# Health probes against real sockets and processes, without a manager.
if(TESTS)
    add_executable(supervisor-test-probe tests/supervisor/test-probe.c supervisor/probe.c
                   supervisor/probe-exec.c supervisor/probe-net.c)
    target_link_libraries(supervisor-test-probe PRIVATE units PkgConfig::LIBSYSTEMD)
    set_target_properties(supervisor-test-probe PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# The manager's own log.
if(TESTS)
    add_executable(supervisor-test-log-line tests/supervisor/test-log-line.c supervisor/log.c)
    target_link_libraries(supervisor-test-log-line PRIVATE base)
    set_target_properties(supervisor-test-log-line PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# What ringfenced keeps for the manager, from its own side and from the manager's.
if(TESTS)
    add_executable(supervisor-test-store tests/supervisor/test-store.c supervisor/keeper/store.c)
    target_link_libraries(supervisor-test-store PRIVATE base)
    set_target_properties(supervisor-test-store PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_executable(supervisor-test-keeping tests/supervisor/test-keeping.c supervisor/keeping.c)
    target_link_libraries(supervisor-test-keeping PRIVATE base)
    set_target_properties(supervisor-test-keeping PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# What speaks sd_notify(3) in tests/supervisor/notify.bats.
if(TESTS)
    add_executable(notify-client tests/supervisor/notify-client.c)
    target_link_libraries(notify-client PRIVATE PkgConfig::LIBSYSTEMD)
    set_target_properties(notify-client PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                          ${CMAKE_BINARY_DIR}/tests)
endif()

# Each system call of the manager fails once. Not of a sanitized one, which ends without memory.
if(TESTS AND NOT SANITIZE)
    add_executable(supervisor-test-faults tests/faults/calls.c tests/faults/faults.c
                   tests/faults/injector.c tests/faults/origin.c tests/faults/points.c
                   tests/faults/scene.c)
    target_link_libraries(supervisor-test-faults PRIVATE base)
    set_target_properties(supervisor-test-faults PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()
