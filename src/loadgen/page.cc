#include "loadgen/page.h"

#include "loadgen/plot.h"

namespace tessera::loadgen {
namespace {

constexpr const char* kStyle =
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 "
    "1rem}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}td,th{"
    "padding:.2rem .5rem;text-align:right;border-bottom:1px solid #8884;font-variant-numeric:tabular-nums}td:first-"
    "child,th:first-child{text-align:left}code{overflow-wrap:anywhere}svg{width:100%;height:auto}svg text{font:12px "
    "system-ui,sans-serif;fill:currentColor}.grid{stroke:#8883}.rule{stroke:currentColor;stroke-dasharray:5 4;opacity:"
    ".7}.legend span{margin-right:1.2rem;white-space:nowrap}.invalid{border:2px solid #d55e00;padding:.5rem 1rem}.wide{"
    "overflow-x:auto}";

}  // namespace

std::string page(const std::string& title, const std::string& body) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width\"><title>" +
         escaped(title) + "</title><style>" + kStyle + "</style></head><body>\n" + body + "</body></html>\n";
}

}  // namespace tessera::loadgen
