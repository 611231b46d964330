// io/testing.h - ports for servers of tests. Threads: any.
#pragma once

#include <cstdint>

namespace paceline::io {

// A port of 127.0.0.1 that nobody listens on, below those that the kernel gives to connections, so
// that it is still free when a server binds it. Each call gives another one; test processes that
// run side by side begin at places of their own.
uint16_t FreePortForTest();

}  // namespace paceline::io
