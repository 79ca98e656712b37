# The small static programs that go into containers, as parts of the runtime's library.
set(HELPER_FLAGS -std=gnu11 -Os -static -s -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion
                 -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,--build-id=none)
find_program(MUSL_GCC musl-gcc)
if(MUSL_GCC)
    set(HELPER_COMPILER ${MUSL_GCC})
else()
    set(HELPER_COMPILER ${CMAKE_C_COMPILER})
endif()

add_custom_command(
    OUTPUT ${CMAKE_BINARY_DIR}/helpers/init
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/helpers
    COMMAND ${HELPER_COMPILER} ${HELPER_FLAGS} $<$<BOOL:${STRICT}>:-Werror>
            -o ${CMAKE_BINARY_DIR}/helpers/init ${CMAKE_SOURCE_DIR}/runtime/helpers/init.c
    DEPENDS ${CMAKE_SOURCE_DIR}/runtime/helpers/init.c
    COMMAND_EXPAND_LISTS VERBATIM)
set_source_files_properties(runtime/init.c PROPERTIES
                            OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/helpers/init
                            COMPILE_DEFINITIONS RINGFENCE_INIT="${CMAKE_BINARY_DIR}/helpers/init")
