// The way of what is asked of a server that neither it nor its service can do: others take it on.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace tessera::server {

// `text` is what is asked; `reply` is called once, on any thread. The call returns at once.
using Ask = std::function<void(std::string text, std::function<void(Result<std::string>)> reply)>;

// Those that are empty cannot be asked.
struct Asks {
  Ask fit;         // a question and its answer as JSON: would one more model fit?
  Ask add_device;  // a device's name, as --device takes it; the reply's text, once models are loaded on it, is empty
};

}  // namespace tessera::server
