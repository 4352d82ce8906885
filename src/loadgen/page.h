// One HTML file that needs nothing beside it: the frame around plots and tables.
#pragma once

#include <string>

namespace tessera::loadgen {

// `title` is plain text; `body` HTML, which begins with a heading of its own.
std::string page(const std::string& title, const std::string& body);

}  // namespace tessera::loadgen
