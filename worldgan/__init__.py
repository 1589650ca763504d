"""worldgan: learn the distribution of the next frame with a GAN, step it as a gymnasium env, plan in it."""
