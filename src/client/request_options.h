// What every client has to know of the requests that it is to send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "client/inputs.h"

namespace tessera::client {

// How requests are made. Value.
struct RequestOptions {
  std::vector<std::string> models;  // of each tenant
  std::vector<ShapeChoice> shapes;
  std::uint64_t seed = 1;
  std::size_t most_in_flight = 1024;  // of a tenant; over HTTP each has a connection of its own
};

}  // namespace tessera::client
