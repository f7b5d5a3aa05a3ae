/* engine.c - what all engines share */
#include "engine/engine.h"

void engine_free(struct engine *engine)
{
    if (engine)
        engine->ops->free(engine);
}
