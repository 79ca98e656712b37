# What tests/bench/launch runs. The payload is linked without libc: nothing runs before its stamp.
add_executable(bench-payload tests/bench/payload.c)
target_compile_options(bench-payload PRIVATE -ffreestanding -fno-stack-protector
                       -fno-asynchronous-unwind-tables)
target_link_options(bench-payload PRIVATE -static -nostdlib -Wl,--build-id=none -Wl,-z,norelro)

add_executable(bench-rounds tests/bench/rounds.c)
target_link_libraries(bench-rounds PRIVATE PkgConfig::LIBSYSTEMD)

add_executable(bench-floor tests/bench/floor.c)
target_link_libraries(bench-floor PRIVATE runtime)

set_target_properties(bench-payload bench-rounds bench-floor PROPERTIES
                      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)

# The language alone.
add_executable(bench-units tests/bench/units.c)
target_link_libraries(bench-units PRIVATE units)
set_target_properties(bench-units PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
