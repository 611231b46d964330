# The console's pages: bundled, compressed and turned into a source file of the room console.
find_program(NODE NAMES node nodejs)
find_program(NPM NAMES npm)
if(NOT NODE OR NOT NPM)
  message(FATAL_ERROR "node and npm are missing, which bundle the console (web/): run tools/setup, then build again")
endif()
set(web_dir ${CMAKE_SOURCE_DIR}/web)
set(web_out ${CMAKE_BINARY_DIR}/console/web_files.cc)
file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS ${web_dir}/src/*)
# Libraries of the lock file; a no-op where they are there already.
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/console/libraries.stamp
  COMMAND ${web_dir}/libraries
  COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/console/libraries.stamp
  DEPENDS ${web_dir}/package.json ${web_dir}/package-lock.json ${web_dir}/libraries
  COMMENT "the console's libraries")
add_custom_command(OUTPUT ${web_out}
  COMMAND ${NODE} ${web_dir}/build.mjs ${web_out}
  DEPENDS ${web_sources} ${web_dir}/build.mjs ${web_dir}/bundle.mjs ${CMAKE_BINARY_DIR}/console/libraries.stamp
  COMMENT "the console's pages")
target_sources(console PRIVATE ${web_out})
add_test(NAME console_types COMMAND ${NODE} ${web_dir}/node_modules/typescript/bin/tsc --noEmit -p ${web_dir})
set_tests_properties(console_types PROPERTIES TIMEOUT 120)
add_test(NAME console_advice COMMAND ${NODE} --test ${web_dir}/advice_test.mjs)
set_tests_properties(console_advice PROPERTIES TIMEOUT 60)
