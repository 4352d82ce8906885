#include "client/endpoint.h"

#include <charconv>

namespace tessera::client {

std::string Endpoint::address() const {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view url) {
  const auto malformed = [&](const std::string& why) {
    return invalid_argument("'" + std::string(url) + "' " + why + "; give http://HOST:PORT or grpc://HOST:PORT");
  };
  Endpoint out;
  std::string_view rest = url;
  if (const std::size_t scheme = url.find("://"); scheme != std::string_view::npos) {
    const std::string_view name = url.substr(0, scheme);
    if (name != "http" && name != "grpc") {
      return malformed("speaks '" + std::string(name) + "', which is not spoken here");
    }
    out.protocol = name == "grpc" ? Endpoint::Protocol::kGrpc : Endpoint::Protocol::kHttp;
    rest = url.substr(scheme + 3);
  }
  out.port = out.protocol == Endpoint::Protocol::kGrpc ? 8001 : 8000;
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    out.path = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  while (!out.path.empty() && out.path.back() == '/') {
    out.path.pop_back();
  }
  const bool bracketed = !rest.empty() && rest.front() == '[';
  const std::size_t bracket = bracketed ? rest.find(']') : 0;
  if (bracket == std::string_view::npos) {
    return malformed("has no end of its address");
  }
  if (const std::size_t colon = rest.find(':', bracket); colon != std::string_view::npos) {
    const std::string_view digits = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || end != digits.data() + digits.size() || out.port == 0) {
      return malformed("has no port from 1 to 65535 behind its last colon");
    }
    rest = rest.substr(0, colon);
  }
  out.host = bracketed ? rest.substr(1, bracket - 1) : rest;
  const std::string written = out.host + out.path;
  for (const char c : written) {
    if (c <= 0x20 || c > 0x7e || c == '@' || c == '?' || c == '#') {
      return malformed("has a character that does not belong there");
    }
  }
  return out.host.empty() ? Result<Endpoint>(malformed("names no host")) : Result<Endpoint>(std::move(out));
}

}  // namespace tessera::client
