// The way of a question that the server does not answer itself: whether one more model would fit.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace tessera::server {

// `body` is the request's JSON; `reply` is called once, on any thread, with the answer's. The call returns at once.
using AskFit = std::function<void(std::string body, std::function<void(Result<std::string>)> reply)>;

}  // namespace tessera::server
